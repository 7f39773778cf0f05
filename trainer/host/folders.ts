/** Folders that are whole under their name or not there, whatever dies. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  nameBeside,
  syncFolderSync,
  writeDurablySync,
  type Content,
} from '../../common/durable-files';

/** Writes a folder of files that appears under its name whole, in place of an earlier one. */
export function writeFolder(path: string, files: Readonly<Record<string, Content>>): void {
  const making = nameBeside(path);
  mkdirSync(making, { recursive: true });
  try {
    for (const [name, content] of Object.entries(files))
      writeDurablySync(join(making, name), content);
    removeFolder(path);
    renameSync(making, path);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    throw error;
  }
  syncFolderSync(dirname(path));
}

/**
 * Removes a folder: first its name, then its files, so that no half of it is ever found under the
 * name.
 */
export function removeFolder(path: string): void {
  if (!existsSync(path)) return;
  const leaving = nameBeside(path);
  renameSync(path, leaving);
  rmSync(leaving, { recursive: true });
}

/** Removes what killed processes left unfinished in a folder that this process alone writes to. */
export function removeLeftovers(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder))
    if (name.startsWith('.')) rmSync(join(folder, name), { recursive: true });
}
