/** Moves files to a trainer that does not see the artifact root, and back: artifacts.proto. */
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { Metadata, status, type ClientWritableStream, type ServiceError } from '@grpc/grpc-js';
import { readBlocks } from '../../common/file-digests';
import {
  ArtifactServiceClient,
  type DescribedArtifact,
  type DescribeArtifactsResponse,
  type DownloadResponse,
  type FindMissingResponse,
  type MissingArtifact,
  type UploadRequest,
  type UploadResponse,
} from '../../gen/ts/sparse_adapter/trainer/v1/artifacts';
import type { Artifact } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  channelCredentials,
  channelOptions,
  checkAddress,
  findTls,
  type TlsFiles,
} from './channel';
import { asTrainerError, TrainerError } from './errors';

/** A call takes at most so many names. */
const MOST_NAMES = 1000;
/** A file of 50 GB takes the trainer minutes to read, and its digest is asked for. */
const CALL_MS = 600_000;

/** How a transfer is followed. */
export interface Moving {
  /** Called with the number of bytes that have moved since the last call. */
  onBytes: (bytes: number) => void;
  /** Ends the transfer with the signal's reason; what has moved is kept. */
  signal?: AbortSignal;
}

/** A client like `connectTrainer`, on a connection of its own: no transfer delays an event. */
export function connectArtifacts(
  address: string,
  options: { tls?: TlsFiles } = {},
): ArtifactClient {
  checkAddress(address);
  const credentials = channelCredentials(options.tls ?? findTls(address));
  return new ArtifactClient(
    address,
    new ArtifactServiceClient(address, credentials, channelOptions(address)),
  );
}

/**
 * The methods of ArtifactService. Each throws TrainerError if the trainer refuses or cannot be
 * reached; calling it again goes on where it was.
 */
export class ArtifactClient {
  constructor(
    readonly address: string,
    private readonly client: ArtifactServiceClient,
  ) {}

  /** Which of these files the trainer lacks, and how much of each an earlier upload has moved. */
  async findMissing(artifacts: readonly Artifact[]): Promise<MissingArtifact[]> {
    const found: MissingArtifact[] = [];
    for (let at = 0; at < artifacts.length; at += MOST_NAMES) {
      const request = { artifacts: artifacts.slice(at, at + MOST_NAMES) };
      const { missing } = await this.call<FindMissingResponse>('FindMissing', (done) =>
        this.client.findMissing(request, new Metadata(), inTime(), done),
      );
      found.push(...missing);
    }
    return found;
  }

  /** What the trainer has under these names of files and folders. */
  async describe(names: readonly string[]): Promise<DescribedArtifact[]> {
    const found: DescribedArtifact[] = [];
    for (let at = 0; at < names.length; at += MOST_NAMES) {
      const request = { names: names.slice(at, at + MOST_NAMES) };
      const { artifacts } = await this.call<DescribeArtifactsResponse>(
        'DescribeArtifacts',
        (done) => this.client.describeArtifacts(request, new Metadata(), inTime(), done),
      );
      found.push(...artifacts);
    }
    return found;
  }

  /** Sends the file at `path` from an offset that `findMissing` gave. */
  async upload(path: string, { artifact, offset }: MissingArtifact, moving: Moving): Promise<void> {
    moving.signal?.throwIfAborted();
    let call!: ClientWritableStream<UploadRequest>;
    const answer = this.call<UploadResponse>('Upload', (done) => (call = this.client.upload(done)));
    let isAnswered = false;
    const answered = answer.then(
      () => void (isAnswered = true),
      () => void (isAnswered = true),
    );
    // The answer says how the call ended.
    call.on('error', () => undefined);
    const cancel = (): void => call.cancel();
    moving.signal?.addEventListener('abort', cancel);
    const write = async (payload: UploadRequest['payload']): Promise<void> => {
      if (!call.write({ payload })) await untilDrained(call, answered);
    };
    const file = await open(path);
    try {
      await write({ $case: 'header', value: { artifact, offset } });
      for await (const block of readBlocks(file, artifact!.size, offset)) {
        if (isAnswered) break;
        // A copy, because grpc-js may not have sent it when the block is filled again.
        await write({ $case: 'chunk', value: Buffer.from(block) });
        moving.onBytes(block.length);
      }
      call.end();
      await answer;
    } finally {
      call.cancel();
      moving.signal?.removeEventListener('abort', cancel);
      await file.close();
      // An error of the disk has left the answer to nobody.
      answer.catch(() => undefined);
      moving.signal?.throwIfAborted();
    }
  }

  /**
   * Receives a file into `part`, from where that ends, and syncs it. It then has its digest.
   *
   * @throws TrainerError DATA_LOSS if what has come does not have its digest, or is longer than its
   *   size; it is removed
   */
  async download({ name, digest, size }: Artifact, part: string, moving: Moving): Promise<void> {
    moving.signal?.throwIfAborted();
    makeFolder(dirname(part));
    // Creates it without emptying it.
    await (await open(part, 'a')).close();
    const file = await open(part, 'r+');
    let wrong: string | undefined;
    try {
      const here = (await file.stat()).size;
      const offset = here > size ? 0 : here;
      await file.truncate(offset);
      const hash = createHash('sha256');
      for await (const block of readBlocks(file, offset)) hash.update(block);
      let at = offset;
      // All of it may have come before its digest could be looked at.
      if (at < size)
        for await (const chunk of this.chunks({ name, offset, digest }, moving.signal)) {
          if (at + chunk.length > size) {
            wrong = `more than its ${size} bytes`;
            break;
          }
          hash.update(chunk);
          for (let rest = chunk; rest.length > 0;) {
            const { bytesWritten } = await file.write(rest, 0, rest.length, at);
            at += bytesWritten;
            rest = rest.subarray(bytesWritten);
          }
          moving.onBytes(chunk.length);
        }
      await file.sync();
      const found = hash.digest('hex');
      if (found !== digest) wrong ??= `digest ${found}, not ${digest}`;
    } finally {
      await file.close();
    }
    if (wrong === undefined) return;
    await rm(part, { force: true });
    throw new TrainerError(status.DATA_LOSS, `${name} came from ${this.address} with ${wrong}`);
  }

  /** Closes the connection. Calls in progress end with CANCELLED. */
  close(): void {
    this.client.close();
  }

  private async *chunks(
    request: { name: string; offset: number; digest: string },
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Buffer> {
    const call = this.client.download(request);
    // After the loop is left, an error has no other listener and would end the process.
    call.on('error', () => undefined);
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel);
    try {
      for await (const { chunk } of call as AsyncIterable<DownloadResponse>)
        if (chunk.length > 0) yield chunk;
    } catch (error) {
      signal?.throwIfAborted();
      throw asTrainerError(error, `trainer ${this.address}`);
    } finally {
      signal?.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  private call<Response>(
    method: string,
    begin: (done: (error: ServiceError | null, response: Response) => void) => unknown,
  ): Promise<Response> {
    return new Promise<Response>((resolve, reject) => {
      begin((error, response) => {
        if (error) reject(asTrainerError(error, `trainer ${this.address}, ${method}`));
        else resolve(response);
      });
    });
  }
}

const inTime = (): { deadline: number } => ({ deadline: Date.now() + CALL_MS });

/** Waits until a stream has room for more, or its call has ended. */
async function untilDrained(
  call: ClientWritableStream<UploadRequest>,
  answered: Promise<void>,
): Promise<void> {
  const settled = new AbortController();
  const drained = once(call, 'drain', { signal: settled.signal }).catch(() => undefined);
  await Promise.race([drained, answered]);
  // Takes away a listener that was not called, of which a long stream would collect many.
  settled.abort();
}
