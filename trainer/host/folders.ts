/** Folders that are either whole or absent, whatever dies. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { syncFolderSync, writeDurablySync, type Content } from '../../common/durable-files';
import { nameBeside } from '../../common/temporary-names';

/** Writes a folder of files that replaces any earlier one and appears whole. */
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
 * Removes a folder: first renames it, then deletes it, so that half of it is never found under its
 * name.
 */
export function removeFolder(path: string): void {
  if (!existsSync(path)) return;
  const leaving = nameBeside(path);
  renameSync(path, leaving);
  rmSync(leaving, { recursive: true });
}
