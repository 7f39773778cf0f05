/** Files and folders that are whole under their name or not there, whatever dies. */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

type Content = string | Uint8Array;

/**
 * Writes a temporary file, syncs it and renames it to `path`, which has one writer at a time.
 * Missing folders are made.
 */
export function writeDurably(path: string, content: Content): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true });
  const temporary = join(folder, `.${basename(path)}.new`);
  const file = openSync(temporary, 'w');
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncFolder(folder);
}

/** Writes a folder of files that appears under its name whole, in place of an earlier one. */
export function writeFolder(path: string, files: Readonly<Record<string, Content>>): void {
  const making = beside(path);
  mkdirSync(making, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeDurably(join(making, name), content);
  removeFolder(path);
  renameSync(making, path);
  syncFolder(dirname(path));
}

/**
 * Removes a folder: first its name, then its files, so that no half of it is ever found under the
 * name.
 */
export function removeFolder(path: string): void {
  if (!existsSync(path)) return;
  const leaving = beside(path);
  renameSync(path, leaving);
  rmSync(leaving, { recursive: true });
}

/** Removes what writes that were cut off left behind in a folder. */
export function removeLeftovers(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder))
    if (name.startsWith('.')) rmSync(join(folder, name), { recursive: true });
}

/** Makes a rename in `folder` durable. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

const beside = (path: string): string => join(dirname(path), `.${basename(path)}.${randomUUID()}`);
