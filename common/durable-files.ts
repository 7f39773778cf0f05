/**
 * The one way to write what must survive: a file is complete under its name or does not exist,
 * whatever dies. Content goes into a temporary file in the same folder, which is synced and
 * renamed. Then the folder is synced. A failed write, on a full disk for example, leaves the old
 * content and nothing else. Only a killed process leaves its temporary file. `removeLeftovers` of
 * temporary-names.ts removes it: a trial's next job, the next start of the sweep or the services.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from './make-folder';
import { nameBeside } from './temporary-names';

export type Content = string | Uint8Array;

/** Writes or replaces a file. Missing folders are created. */
export async function writeDurably(
  path: string,
  content: Content | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = nameBeside(path);
  try {
    const file = await createFile(temporary);
    try {
      await writeFile(file, content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw naming(path, error);
  }
  await syncFolder(dirname(path));
}

/** A new file; its folder is almost always there, and need not be asked for each time. */
async function createFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    makeFolder(dirname(path));
    return open(path, 'wx');
  }
}

/** Writes a value as indented JSON. */
export function writeJsonDurably(path: string, value: unknown): Promise<void> {
  return writeDurably(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * `writeDurably` for code that must not be interrupted between two lines.
 *
 * @param first called once the content is on disk, before it gets its name. So if `first` writes
 *   something else, neither changes unless both have room.
 */
export function writeDurablySync(path: string, content: Content, first?: () => void): void {
  replaceSync(path, content, first);
  syncFolderSync(dirname(path));
}

/**
 * `writeDurablySync` without syncing the folder: after a power cut, the file is whole, but may be
 * as it was before. For what is elsewhere as well, or if the folder is synced later.
 */
export function replaceSync(path: string, content: Content, first?: () => void): void {
  putInPlace(path, content, (temporary) => {
    first?.();
    renameSync(temporary, path);
  });
}

/**
 * Writes files under their own names into a new folder, which is still unknown to others, so that
 * the folder needs to be synced only once.
 */
export function fillFolderSync(folder: string, files: Readonly<Record<string, Content>>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    try {
      createSyncedFile(path, content);
    } catch (error) {
      throw naming(path, error);
    }
  }
  syncFolderSync(folder);
}

/**
 * Creates a complete file and returns true, or returns false if one exists. If several processes
 * try at once, exactly one gets true.
 */
export function createFileOnce(path: string, content: Content): boolean {
  // Needs no room on a full disk.
  if (existsSync(path)) return false;
  try {
    putInPlace(path, content, (temporary) => {
      linkSync(temporary, path);
      rmSync(temporary);
    });
    syncFolderSync(dirname(path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Gives a written file its name, once its content is on disk. Missing folders are created. */
export async function moveDurably(source: string, path: string): Promise<void> {
  const file = await open(source, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  makeFolder(dirname(path));
  await rename(source, path);
  await syncFolder(dirname(path));
}

/** Makes renames, new files and removals in a folder survive a power cut. */
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

/** Lets an error name the file that is meant: a write's names none, others' the temporary one. */
export function naming(path: string, error: unknown): unknown {
  const isSystems = (error as NodeJS.ErrnoException | undefined)?.syscall !== undefined;
  return isSystems ? Object.assign(error as object, { path }) : error;
}

function putInPlace(path: string, content: Content, place: (temporary: string) => void): void {
  const temporary = nameBeside(path);
  makeFolder(dirname(path));
  try {
    createSyncedFile(temporary, content);
    place(temporary);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw naming(path, error);
  }
}

function createSyncedFile(path: string, content: Content): void {
  const file = openSync(path, 'wx');
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
