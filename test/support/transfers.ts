/** ArtifactService of a trainer under test, called with messages that a test chooses. */
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import type { ClientWritableStream, ServiceError } from '@grpc/grpc-js';
import {
  ArtifactServiceClient,
  type DescribedArtifact,
  type DownloadRequest,
  type MissingArtifact,
  type UploadRequest,
  type UploadResponse,
} from '../../gen/ts/sparse_adapter/trainer/v1/artifacts';
import type { Artifact } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { channelCredentials, channelOptions } from '../../orchestrator/trainer-client/channel';
import { asTrainerError } from '../../orchestrator/trainer-client/errors';

export const MIB = 1 << 20;

/** So many bytes that do not repeat, others for another seed. */
export const fill = (size: number, seed = 1): Buffer =>
  createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(
    Buffer.alloc(size),
  );

/** A file of this content. */
export const artifactOf = (name: string, content: Uint8Array): Artifact => ({
  name,
  digest: createHash('sha256').update(content).digest('hex'),
  size: content.length,
});

export const header = (artifact: Artifact, offset = 0): UploadRequest => ({
  payload: { $case: 'header', value: { artifact, offset } },
});

export const chunk = (value: Uint8Array): UploadRequest => ({
  payload: { $case: 'chunk', value: Buffer.from(value) },
});

/** The messages that upload a file from an offset. */
export function* uploadOf(
  artifact: Artifact,
  content: Uint8Array,
  offset = 0,
): Generator<UploadRequest> {
  yield header(artifact, offset);
  for (let at = offset; at < content.length; at += MIB) yield chunk(content.subarray(at, at + MIB));
}

/** An upload that a test feeds by hand. */
export interface OpenUpload {
  /** Settles with the trainer's answer. */
  answer: Promise<Artifact>;
  call: ClientWritableStream<UploadRequest>;
}

export class Transfers {
  private readonly client: ArtifactServiceClient;

  constructor(address: string) {
    const settings = channelOptions(address);
    this.client = new ArtifactServiceClient(address, channelCredentials(undefined), settings);
  }

  close(): void {
    this.client.close();
  }

  findMissing(artifacts: Artifact[]): Promise<MissingArtifact[]> {
    return new Promise((resolve, reject) => {
      this.client.findMissing({ artifacts }, (error, response) =>
        error ? reject(asTrainerError(error, 'FindMissing')) : resolve(response.missing),
      );
    });
  }

  describe(names: string[]): Promise<DescribedArtifact[]> {
    return new Promise((resolve, reject) => {
      this.client.describeArtifacts({ names }, (error, response) =>
        error ? reject(asTrainerError(error, 'DescribeArtifacts')) : resolve(response.artifacts),
      );
    });
  }

  openUpload(): OpenUpload {
    let call!: ClientWritableStream<UploadRequest>;
    const answer = new Promise<Artifact>((resolve, reject) => {
      call = this.client.upload((error: ServiceError | null, response?: UploadResponse) =>
        error ? reject(asTrainerError(error, 'Upload')) : resolve(response!.artifact!),
      );
    });
    answer.catch(() => undefined);
    // The answer says how the call ended.
    call.on('error', () => undefined);
    return { answer, call };
  }

  /** Sends these messages and ends the upload, or stops as soon as the trainer has answered. */
  async upload(messages: Iterable<UploadRequest>): Promise<Artifact> {
    const { answer, call } = this.openUpload();
    let answered = false;
    const settled = answer.then(
      () => (answered = true),
      () => (answered = true),
    );
    for (const message of messages) {
      if (answered) break;
      if (!call.write(message)) await Promise.race([once(call, 'drain'), settled]);
    }
    call.end();
    return answer;
  }

  /** Receives a whole file and drops it. Returns how many bytes came. */
  async drain(request: Partial<DownloadRequest>): Promise<number> {
    const call = this.client.download({ name: '', offset: 0, digest: '', ...request });
    let bytes = 0;
    for await (const message of call as AsyncIterable<{ chunk: Buffer }>)
      bytes += message.chunk.length;
    return bytes;
  }

  /** What comes of a download: its first message, then its chunks. */
  async download(
    request: Partial<DownloadRequest>,
    enough: (bytes: number) => boolean = () => false,
  ): Promise<{ artifact: Artifact | undefined; content: Buffer; largest: number }> {
    const call = this.client.download({ name: '', offset: 0, digest: '', ...request });
    const chunks: Buffer[] = [];
    let artifact: Artifact | undefined;
    let bytes = 0;
    try {
      for await (const message of call as AsyncIterable<{ chunk: Buffer; artifact?: Artifact }>) {
        artifact ??= message.artifact;
        if (message.chunk.length > 0) chunks.push(message.chunk);
        bytes += message.chunk.length;
        if (enough(bytes)) break;
      }
    } catch (error) {
      throw asTrainerError(error, 'Download');
    } finally {
      call.on('error', () => undefined);
      call.cancel();
    }
    const largest = Math.max(0, ...chunks.map(({ length }) => length));
    return { artifact, content: Buffer.concat(chunks), largest };
  }
}
