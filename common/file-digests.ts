/** Digests of files on disk, each made once as long as the file stays as it is. */
import { createHash } from 'node:crypto';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { stampContent } from './content-stamp';
import { isNotThere } from './files';

const MOST_REMEMBERED = 10_000;
const READ_BYTES = 1 << 20;

/** A file did not stay as it was. */
export class FileChanged extends Error {
  override readonly name = 'FileChanged';

  constructor(name: string) {
    super(`${name} changed while it was read; request it again`);
  }
}

/** `<digest>  <relative name>` of each file, sorted: the digest of a folder in event.proto. */
export function digestFolder(files: readonly (readonly [name: string, digest: string])[]): string {
  const lines = files.map(([name, digest]) => `${digest}  ${name}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}

export class FileDigests {
  /** By everything that changes if a file is replaced or written to. */
  private readonly known = new Map<string, string>();

  /** Digest and size of an open file. Throws FileChanged if that is written to meanwhile. */
  async of(file: FileHandle, name: string): Promise<{ digest: string; size: number }> {
    const before = await file.stat({ bigint: true });
    const size = Number(before.size);
    const { stamp, isSettled } = stampContent(before);
    const known = this.known.get(stamp);
    if (known !== undefined) return { digest: known, size };
    const hash = createHash('sha256');
    for await (const block of readBlocks(file, size)) hash.update(block);
    if (stampContent(await file.stat({ bigint: true })).stamp !== stamp)
      throw new FileChanged(name);
    const digest = hash.digest('hex');
    if (isSettled) this.remember(stamp, digest);
    return { digest, size };
  }

  /** Digest and size of a file; undefined if there is none. */
  async ofPath(path: string): Promise<{ digest: string; size: number } | undefined> {
    const file = await openFile(path);
    if (!file) return undefined;
    try {
      return await this.of(file, path);
    } finally {
      await file.close();
    }
  }

  private remember(key: string, digest: string): void {
    this.known.set(key, digest);
    if (this.known.size <= MOST_REMEMBERED) return;
    const [oldest] = this.known.keys();
    this.known.delete(oldest!);
  }
}

/** Opens a file for reading; undefined if there is none under this path. */
export async function openFile(path: string): Promise<FileHandle | undefined> {
  try {
    return (await stat(path)).isFile() ? await open(path) : undefined;
  } catch (error) {
    if (isNotThere(error)) return undefined;
    throw error;
  }
}

/**
 * A file's bytes from `begin` to `end`, or as many as it has, in blocks of at most 1 MiB. A block
 * is valid until the next one is requested.
 */
export async function* readBlocks(
  file: FileHandle,
  end: number,
  begin = 0,
): AsyncGenerator<Buffer> {
  const block = Buffer.allocUnsafe(READ_BYTES);
  for (let at = begin; at < end;) {
    const { bytesRead } = await file.read(block, 0, Math.min(READ_BYTES, end - at), at);
    if (bytesRead === 0) return;
    yield block.subarray(0, bytesRead);
    at += bytesRead;
  }
}
