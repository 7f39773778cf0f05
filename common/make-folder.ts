import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those that it is in, unless they are there.
 *
 * Node's own `recursive` never returns in a folder that is there and answers ENOENT, as /proc does.
 *
 * @param mode of the folders that are made; by default as the process makes them
 * @throws the system's error
 */
export function makeFolder(path: string, mode?: number): void {
  try {
    makeIn(path, mode);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    makeFolder(dirname(path), mode);
    makeIn(path, mode);
  }
}

/** Makes a folder in one that is there. */
function makeIn(path: string, mode?: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // A file of that name is no folder, and a read-only disk says so even of one that is there.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}
