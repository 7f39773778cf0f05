/** An ArtifactService in memory that fails as it is told, as no real trainer does when asked to. */
import {
  Server,
  ServerCredentials,
  status,
  type ServerReadableStream,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import {
  ArtifactServiceService,
  type DescribeArtifactsRequest,
  type DescribedArtifact,
  type DownloadRequest,
  type DownloadResponse,
  type FindMissingRequest,
  type UploadHeader,
  type UploadRequest,
  type UploadResponse,
} from '../../../gen/ts/sparse_adapter/trainer/v1/artifacts';
import { artifactOf } from '../../support/transfers';

/** How a transfer goes wrong: after so many bytes, with this status. */
export interface Fault {
  after: number;
  code: status;
}

const refuse = ({ code }: Pick<Fault, 'code'>) =>
  Object.assign(new Error('as told'), { code, details: 'as told', metadata: undefined });

type Done<Response> = (error: Error | null, response?: Response) => void;

export class ScriptedArtifacts {
  /** Files by name. */
  readonly files = new Map<string, Buffer>();
  /** What has arrived of unfinished files, by name. */
  readonly parts = new Map<string, Buffer>();
  /** What DescribeArtifacts says besides. */
  readonly folders = new Map<string, DescribedArtifact>();
  /** What goes wrong with each successive transfer; then all goes well. */
  readonly faults: Fault[] = [];
  /** Offsets of uploads and downloads, in order. */
  readonly offsets: number[] = [];
  private readonly server = new Server();

  async listen(address: string): Promise<void> {
    this.server.addService(ArtifactServiceService, {
      findMissing: (call: { request: FindMissingRequest }, done: Done<object>) => {
        const missing = call.request.artifacts
          .filter(({ name, digest }) => this.digestOf(name) !== digest)
          .map((artifact) => ({ artifact, offset: this.parts.get(artifact.name)?.length ?? 0 }));
        done(null, { missing });
      },
      describeArtifacts: (call: { request: DescribeArtifactsRequest }, done: Done<object>) => {
        const artifacts = call.request.names.flatMap((name) => {
          const folder = this.folders.get(name);
          if (folder) return [folder];
          const content = this.files.get(name);
          return content ? [{ artifact: artifactOf(name, content), files: [] }] : [];
        });
        done(null, { artifacts });
      },
      upload: (
        call: ServerReadableStream<UploadRequest, UploadResponse>,
        done: Done<UploadResponse>,
      ) => void this.receive(call).then((response) => done(null, response), done),
      download: (call: ServerWritableStream<DownloadRequest, DownloadResponse>) => this.send(call),
    });
    await new Promise((resolve) =>
      this.server.bindAsync(address, ServerCredentials.createInsecure(), resolve),
    );
  }

  close(): void {
    this.server.forceShutdown();
  }

  private async receive(
    call: ServerReadableStream<UploadRequest, UploadResponse>,
  ): Promise<UploadResponse> {
    const fault = this.faults.shift();
    let header!: UploadHeader;
    let content = Buffer.alloc(0);
    for await (const { payload } of call as AsyncIterable<UploadRequest>) {
      if (payload?.$case === 'header') {
        header = payload.value;
        this.offsets.push(header.offset);
        content = Buffer.from(this.parts.get(header.artifact!.name) ?? '').subarray(
          0,
          header.offset,
        );
        continue;
      }
      content = Buffer.concat([content, payload!.value]);
      if (!fault || fault.code === status.DATA_LOSS || content.length < fault.after) continue;
      this.parts.set(header.artifact!.name, content.subarray(0, fault.after));
      throw refuse(fault);
    }
    const { name } = header.artifact!;
    this.parts.delete(name);
    if (fault) throw refuse(fault);
    this.files.set(name, content);
    return { artifact: artifactOf(name, content) };
  }

  private send(call: ServerWritableStream<DownloadRequest, DownloadResponse>): void {
    const fault = this.faults.shift();
    const { name, offset } = call.request;
    this.offsets.push(offset);
    const content = this.files.get(name)!;
    call.write({ chunk: Buffer.alloc(0), artifact: artifactOf(name, content) });
    const chunk = content.subarray(offset, fault?.after);
    call.write({ chunk, artifact: undefined }, () =>
      fault ? call.emit('error', refuse(fault)) : call.end(),
    );
  }

  private digestOf(name: string): string | undefined {
    const content = this.files.get(name);
    return content && artifactOf(name, content).digest;
  }
}
