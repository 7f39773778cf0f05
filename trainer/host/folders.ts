/** Folders that are either whole or absent, whatever dies. */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { contentDigest } from './artifacts';
import { fillFolderSync, syncFolderSync, type Content } from '../../common/durable-files';
import { digestFolder } from '../../common/file-digests';
import { nameBeside } from '../../common/temporary-names';

/**
 * Writes a folder of files that replaces any earlier one and appears whole. Returns its digest,
 * made from what was written, because reading large files back takes long.
 */
export function writeFolder(path: string, files: Readonly<Record<string, Content>>): string {
  const making = nameBeside(path);
  makeFolder(making);
  try {
    fillFolderSync(making, files);
    removeFolder(path);
    renameSync(making, path);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    throw error;
  }
  syncFolderSync(dirname(path));
  return digestFolder(
    Object.entries(files).map(([name, content]) => [name, contentDigest(content)] as const),
  );
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
