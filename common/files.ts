/** Small files that orchestrator and trainers read. */
import { randomUUID } from 'node:crypto';
import { chmodSync, readFileSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { createFileOnce } from './durable-files';

/** The file's text, or undefined if there is no file. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const rootIdPath = (root: string) => join(root, '.root-id');

/** The id of an artifact root; undefined if the folder has none, or there is no folder. */
export function readRootId(root: string): string | undefined {
  return readIfThere(rootIdPath(root))?.trim();
}

/** Whether an error says that there is no such file or folder. */
export function isNotThere(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Of a folder that is not there, no names. */
export function noneIfNotThere(error: unknown): string[] {
  if (isNotThere(error)) return [];
  throw error;
}

export const NO_FILE = 'there is no such file';

/**
 * Why a path names no file that can be read to its end, for people; undefined for a file. Opening a
 * pipe would wait for its writer, and a device may never end.
 */
export function findOddity(path: string): string | undefined {
  let found: Stats;
  try {
    found = statSync(path);
  } catch (error) {
    if (isNotThere(error)) return NO_FILE;
    throw error;
  }
  if (found.isFile()) return undefined;
  return found.isDirectory() ? 'is a folder, not a file' : 'is a pipe or a device, not a file';
}

/**
 * The id of an artifact root: the content of `<root>/.root-id`, created on first use. A trainer
 * that reports the same id sees the same disk. Whoever may read the folder may read its id, also
 * where the umask would keep other users out.
 */
export function artifactRootId(root: string): string {
  const path = rootIdPath(root);
  if (createFileOnce(path, randomUUID())) chmodSync(path, 0o600 | (statSync(root).mode & 0o044));
  return readFileSync(path, 'utf8').trim();
}
