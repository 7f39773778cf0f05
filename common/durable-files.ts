/**
 * The one way to write what must survive: files that are whole under their name or not there,
 * whatever dies. Content goes into a temporary file beside the place, which is synced and renamed;
 * then the folder is synced. A write that fails, on a full disk for example, leaves the old content
 * and nothing else. Only a killed process leaves its temporary file, whose name begins with a dot.
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export type Content = string | Uint8Array;

/** Writes a file, or replaces it. Missing folders are made. */
export async function writeDurably(
  path: string,
  content: Content | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = nameBeside(path);
  await mkdir(dirname(path), { recursive: true });
  try {
    const file = await open(temporary, 'wx');
    try {
      await writeFile(file, content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Writes a value as indented JSON. */
export function writeJsonDurably(path: string, value: unknown): Promise<void> {
  return writeDurably(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** `writeDurably` for code that must not be interrupted between two lines. */
export function writeDurablySync(path: string, content: Content): void {
  putInPlace(path, content, (temporary) => renameSync(temporary, path));
}

/**
 * Creates a file with its whole content, or tells that one is there already. Of several processes
 * at once, exactly one gets true.
 */
export function createFileOnce(path: string, content: Content): boolean {
  try {
    putInPlace(path, content, (temporary) => {
      linkSync(temporary, path);
      rmSync(temporary);
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Makes what was renamed, created or removed in a folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function syncFolderSync(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** A name in the same folder that nobody else uses, and that begins with a dot. */
export function nameBeside(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomUUID()}`);
}

function putInPlace(path: string, content: Content, place: (temporary: string) => void): void {
  const temporary = nameBeside(path);
  mkdirSync(dirname(path), { recursive: true });
  try {
    const file = openSync(temporary, 'wx');
    try {
      writeFileSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    place(temporary);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolderSync(dirname(path));
}
