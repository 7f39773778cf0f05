/**
 * Removes what may go, each whole: a folder loses its name first and then its files, so that nobody
 * finds half of one, and what a kill leaves of it is a leftover for the next time.
 */
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { nameBeside } from '../../common/temporary-names';
import { readNeeds } from './needs';
import type { Removable } from './unneeded';

/**
 * Removes a file or folder. Returns false for a data set that a sweep has come to need since it was
 * found: it stays. (A sweep's plan is on disk before its data sets are looked for, so a sweep that
 * starts after the second look prepares what it no longer finds.)
 */
export async function removeUnneeded(root: string, { kind, path }: Removable): Promise<boolean> {
  const leaving = nameBeside(path);
  try {
    await rename(path, leaving);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
  if (kind === 'datasets' && (await readNeeds(root)).datasets.has(basename(path))) {
    // Unless the sweep has already prepared it anew.
    if (!existsSync(path)) await rename(leaving, path);
    else await rm(leaving, { recursive: true });
    return false;
  }
  await rm(leaving, { recursive: true });
  return true;
}
