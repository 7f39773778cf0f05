/** Small files that must be whole or absent, whatever dies. */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Replaces a file's content: a reader sees the old or the new, also after a crash. */
export function writeFileAtomic(path: string, content: string): void {
  const temporary = writeTemporary(path, content);
  renameSync(temporary, path);
}

/**
 * Creates a file with its whole content, or tells that one is there already. Of several processes
 * at once, exactly one gets true.
 */
export function createFileOnce(path: string, content: string): boolean {
  const temporary = writeTemporary(path, content);
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function writeTemporary(path: string, content: string): string {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}-${randomUUID().slice(0, 8)}.tmp`;
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return temporary;
}

/** The file's text, or undefined where there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * The id of an artifact root: the content of `<root>/.root-id`, made on first use. A trainer that
 * reports the same id sees the same disk.
 */
export function artifactRootId(root: string): string {
  const path = join(root, '.root-id');
  createFileOnce(path, randomUUID());
  return readFileSync(path, 'utf8').trim();
}
