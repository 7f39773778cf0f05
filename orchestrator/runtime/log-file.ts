/**
 * Logs of background processes, which write to the file themselves so that they can outlive their
 * parent.
 */
import {
  closeSync,
  copyFileSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { isDiskFull } from '../../common/disk-space';

/**
 * Opens a log for appending a child's stdout and stderr. Returns the descriptor and the current
 * size.
 */
export function openLog(path: string): { descriptor: number; offset: number } {
  makeFolder(dirname(path));
  const descriptor = openSync(path, 'a', 0o600);
  return { descriptor, offset: fstatSync(descriptor).size };
}

/**
 * Moves a log of more than `maxBytes` to `<path>.1`, an older one to `.2`, up to `.<keep>`. The
 * writer keeps its descriptor, so the file is copied and emptied rather than renamed, and lines
 * written in between are lost. (In append mode, the writer continues at the new end.) If the disk
 * has no room for the copy, nothing changes.
 */
export function rotateLog(path: string, maxBytes: number, keep: number): boolean {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) <= maxBytes) return false;
  const copy = `${path}.0`;
  try {
    copyFileSync(path, copy);
  } catch (error) {
    rmSync(copy, { force: true });
    if (isDiskFull(error)) return false;
    throw error;
  }
  rmSync(`${path}.${keep}`, { force: true });
  for (let age = keep - 1; age >= 1; age--) {
    if (statSync(`${path}.${age}`, { throwIfNoEntry: false }))
      renameSync(`${path}.${age}`, `${path}.${age + 1}`);
  }
  renameSync(copy, `${path}.1`);
  truncateSync(path, 0);
  return true;
}

/** The text from `offset`, at most the last `maxBytes` of it; empty if there is no file. */
export function readLog(path: string, offset: number, maxBytes: number): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
  try {
    const { size } = fstatSync(descriptor);
    const from = Math.max(Math.min(offset, size), size - maxBytes);
    const buffer = Buffer.alloc(size - from);
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, from));
  } finally {
    closeSync(descriptor);
  }
}

/** The last lines of a log from `offset` on. */
export function tailLog(path: string, lines: number, offset = 0): string[] {
  const text = readLog(path, offset, 64 * 1024).trimEnd();
  return text === '' ? [] : text.split('\n').slice(-lines);
}
