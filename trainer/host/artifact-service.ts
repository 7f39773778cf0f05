/** Serves ArtifactService from an artifact root. A call holds a few chunks at most. */
import { readdirSync, statSync, type Stats } from 'node:fs';
import { sep } from 'node:path';
import {
  status,
  type sendUnaryData,
  type ServerReadableStream,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import {
  digestFolder,
  FileChanged,
  FileDigests,
  openFile,
  readBlocks,
} from '../../common/file-digests';
import { isFileName } from '../../common/artifact-names';
import { isNotThere } from '../../common/files';
import { describeFullDisk, isDiskFull } from '../../common/disk-space';
import type {
  ArtifactServiceServer,
  DescribeArtifactsRequest,
  DescribeArtifactsResponse,
  DescribedArtifact,
  DownloadRequest,
  DownloadResponse,
  FindMissingRequest,
  FindMissingResponse,
  UploadHeader,
  UploadRequest,
  UploadResponse,
} from '../../gen/ts/sparse_adapter/trainer/v1/artifacts';
import type { Artifact } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  checkDownload,
  checkFile,
  checkFileOrFolder,
  locate,
  MOST_NAMES,
  refuseField,
  requireValid,
} from './artifact-names';
import { NAME_FIELD, Uploads } from './artifact-uploads';
import { asRefusal, drained, readRequest, unary } from './calls';
import { Refusal, refuseFullDisk, refuseStopping } from './refusals';

const CHUNK_BYTES = 1 << 20;
/** A client that went away without a word must not keep others from the file for long. */
const SILENCE_MS = 60_000;
/** How often a folder is listed if parts of it vanish meanwhile, as a running job's do. */
const LISTINGS = 3;

export class ArtifactService {
  private readonly uploads: Uploads;
  private readonly digests = new FileDigests();
  private stopping = false;
  /** Bytes of files that this process has moved, for whoever asks. */
  readonly moved = { received: 0, sent: 0 };

  constructor(private readonly root: string) {
    this.uploads = new Uploads(root);
  }

  /** The methods as grpc-js calls them. */
  handlers(): ArtifactServiceServer {
    return {
      findMissing: unary((request) => this.findMissing(request)),
      describeArtifacts: unary((request) => this.describeArtifacts(request)),
      upload: (call, callback) => void this.upload(call, callback),
      download: (call) => void this.download(call),
    };
  }

  /** Ends transfers with UNAVAILABLE and accepts no more. */
  stop(): void {
    this.stopping = true;
  }

  private async findMissing({ artifacts }: FindMissingRequest): Promise<FindMissingResponse> {
    requireFew('artifacts', artifacts.length);
    requireValid((found) =>
      artifacts.forEach((artifact, index) => checkFile(found, `artifacts[${index}]`, artifact)),
    );
    const missing: FindMissingResponse['missing'] = [];
    for (const [index, artifact] of artifacts.entries()) {
      const path = locate(this.root, `artifacts[${index}].name`, artifact.name);
      if (await this.has(path, artifact)) continue;
      missing.push({ artifact, offset: this.uploads.transferred(artifact) });
    }
    return { missing };
  }

  private async describeArtifacts({
    names,
  }: DescribeArtifactsRequest): Promise<DescribeArtifactsResponse> {
    requireFew('names', names.length);
    requireValid((found) =>
      names.forEach((name, index) => checkFileOrFolder(found, `names[${index}]`, name)),
    );
    const artifacts: DescribedArtifact[] = [];
    for (const [index, name] of names.entries()) {
      const path = locate(this.root, `names[${index}]`, name);
      const described = await this.describe(name, path);
      if (described) artifacts.push(described);
    }
    return { artifacts };
  }

  /** A file, or a folder with its files; undefined if there is none. */
  private async describe(name: string, path: string): Promise<DescribedArtifact | undefined> {
    if (isFileName(name)) {
      const artifact = await this.describeFile(name);
      return artifact && { artifact, files: [] };
    }
    for (let listing = 0; listing < LISTINGS; listing++) {
      try {
        return await this.describeFolder(name, path);
      } catch (error) {
        if (!isNotThere(error)) throw error;
      }
    }
    throw new FileChanged(name);
  }

  private async describeFolder(name: string, path: string): Promise<DescribedArtifact | undefined> {
    if (!statIfThere(path)?.isDirectory()) return undefined;
    const names = readdirSync(path, { recursive: true, encoding: 'utf8' })
      .map((each) => `${name}/${each.split(sep).join('/')}`)
      .filter(isFileName)
      .sort();
    const files: Artifact[] = [];
    for (const each of names) {
      const file = await this.describeFile(each);
      if (file) files.push(file);
    }
    if (files.length === 0) return undefined;
    const digest = digestFolder(
      files.map((file) => [file.name.slice(name.length + 1), file.digest] as const),
    );
    const size = files.reduce((total, file) => total + file.size, 0);
    return { artifact: { name, digest, size }, files };
  }

  private async describeFile(name: string): Promise<Artifact | undefined> {
    const found = await this.digests.ofPath(locate(this.root, 'names', name));
    return found && { name, ...found };
  }

  private async upload(
    call: ServerReadableStream<UploadRequest, UploadResponse>,
    callback: sendUnaryData<UploadResponse>,
  ): Promise<void> {
    try {
      callback(null, { artifact: await this.receive(new Messages(call)) });
    } catch (error) {
      if (!call.cancelled) callback(this.asRefusal(error, 'Upload').asServiceError());
    }
  }

  private async receive(messages: Messages): Promise<Artifact> {
    const next = (): Promise<UploadRequest | undefined> => {
      if (this.stopping) throw refuseStopping();
      return messages.next();
    };
    const { artifact, offset } = readHeader(await next());
    const path = locate(this.root, NAME_FIELD, artifact.name);
    if (await this.has(path, artifact)) return artifact;
    const upload = await this.uploads.begin(artifact, offset);
    try {
      for (let each = await next(); each; each = await next()) {
        const chunk = readChunk(each);
        await upload.write(chunk);
        this.moved.received += chunk.length;
      }
      await upload.finish();
    } finally {
      await upload.close();
    }
    return artifact;
  }

  private async download(
    call: ServerWritableStream<DownloadRequest, DownloadResponse>,
  ): Promise<void> {
    try {
      await this.send(call, readRequest(call.request));
      call.end();
    } catch (error) {
      if (!call.cancelled) call.emit('error', this.asRefusal(error, 'Download').asServiceError());
    }
  }

  private async send(
    call: ServerWritableStream<DownloadRequest, DownloadResponse>,
    request: DownloadRequest,
  ): Promise<void> {
    requireValid((found) => checkDownload(found, request));
    const { name, offset } = request;
    const file = await openFile(locate(this.root, 'name', name));
    if (!file) throw new Refusal(status.NOT_FOUND, `there is no ${name}`);
    const write = async (message: DownloadResponse): Promise<void> => {
      if (this.stopping) throw refuseStopping();
      if (!call.write(message)) await drained(call);
    };
    try {
      const { digest, size } = await this.digests.of(file, name);
      requireContent(request, digest, size);
      await write({ chunk: Buffer.alloc(0), artifact: { name, digest, size } });
      let sent = offset;
      for await (const block of readBlocks(file, size, offset)) {
        if (call.cancelled) return;
        // A copy, because grpc-js may not have sent it when the block is filled again.
        await write({ chunk: Buffer.from(block), artifact: undefined });
        sent += block.length;
        this.moved.sent += block.length;
      }
      if (sent < size) throw new FileChanged(name);
    } finally {
      await file.close();
    }
  }

  /** Whether the file is here, with this content. */
  private async has(path: string, { digest, size }: Artifact): Promise<boolean> {
    if (statIfThere(path)?.size !== size) return false;
    return (await this.digests.ofPath(path))?.digest === digest;
  }

  private asRefusal(error: unknown, method: string): Refusal {
    if (isDiskFull(error)) return refuseFullDisk(describeFullDisk(this.root, error));
    return asRefusal(error, method);
  }
}

/** The messages of an upload, one at a time. */
class Messages {
  private readonly messages: AsyncIterator<UploadRequest, undefined>;

  constructor(private readonly call: ServerReadableStream<UploadRequest, UploadResponse>) {
    this.messages = call[Symbol.asyncIterator]() as AsyncIterator<UploadRequest, undefined>;
  }

  /**
   * The next message; undefined at the end. Throws a Refusal (ABORTED) if the client is silent for
   * long, and another error if it goes away.
   */
  async next(): Promise<UploadRequest | undefined> {
    // No race of promises: one that stays pending would keep all messages that it raced with.
    const silence = setTimeout(() => {
      const message = `nothing came for ${SILENCE_MS / 1000} s; what has arrived is kept`;
      this.call.destroy(new Refusal(status.ABORTED, message));
    }, SILENCE_MS);
    try {
      const { done, value } = await this.messages.next();
      return done ? undefined : readRequest(value);
    } finally {
      clearTimeout(silence);
    }
  }
}

/** What is under this path; undefined if nothing is, also where a folder of it is a file. */
function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (isNotThere(error)) return undefined;
    throw error;
  }
}

function requireFew(field: string, count: number): void {
  if (count > MOST_NAMES)
    throw refuseField(field, `has ${count} entries; a call takes at most ${MOST_NAMES}`);
}

interface Header {
  artifact: Artifact;
  offset: number;
}

function readHeader(message: UploadRequest | undefined): Header {
  const payload = message?.payload;
  if (payload?.$case !== 'header')
    throw refuseField('header', 'is missing; the first message of an upload says which file it is');
  const { artifact = { name: '', digest: '', size: 0 }, offset }: UploadHeader = payload.value;
  requireValid((found) => checkFile(found, 'header.artifact', artifact));
  if (offset > artifact.size)
    throw refuseField('header.offset', `${offset} is past the file's ${artifact.size} bytes`);
  return { artifact, offset };
}

function readChunk({ payload }: UploadRequest): Uint8Array {
  if (payload?.$case !== 'chunk')
    throw refuseField('chunk', 'is missing; only the first message of an upload has a header');
  const { length } = payload.value;
  if (length > CHUNK_BYTES)
    throw refuseField('chunk', `has ${length} bytes; at most ${CHUNK_BYTES} are allowed`);
  return payload.value;
}

function requireContent(request: DownloadRequest, digest: string, size: number): void {
  const { name, offset } = request;
  if (request.digest !== '' && request.digest !== digest) {
    const message = `${name} has digest ${digest} now, not ${request.digest}; fetch it from 0`;
    throw new Refusal(status.ABORTED, message);
  }
  if (offset > size)
    throw new Refusal(
      status.OUT_OF_RANGE,
      `offset: ${offset} is past the ${size} bytes of ${name}`,
    );
}
