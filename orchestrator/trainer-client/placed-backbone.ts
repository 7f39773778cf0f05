/**
 * Backbones under an artifact root, as `backbones/<digest>`: a trainer on another machine lacks the
 * path that a plan names.
 */
import { existsSync } from 'node:fs';
import { copyFile, link, open, readdir, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { syncFolder } from '../../common/durable-files';
import { nameBeside } from '../../common/temporary-names';
import type { PlannedBackbone } from '../sweep/types';

/** What a trainer reads of a Hugging Face directory: no tokenizer, no other framework's weights. */
const NEEDED =
  /^(?:config\.json|model\.safetensors\.index\.json|model(-\d+-of-\d+)?\.safetensors)$/;

/** A backbone's name under the root of a trainer that does not see this machine's paths. */
export const placedName = ({ digest }: Pick<PlannedBackbone, 'digest'>): string =>
  `backbones/${digest}`;

/** Names of the files in a backbone's directory that a trainer reads. */
export async function listNeededFiles(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => NEEDED.test(name)).sort();
}

/**
 * Puts a backbone under the root, unless it is there: as hard links, which take no room, or copies
 * where the file system has none.
 */
export async function placeBackbone(
  root: string,
  { path, digest }: Pick<PlannedBackbone, 'path' | 'digest'>,
): Promise<void> {
  const place = join(root, placedName({ digest }));
  if (existsSync(place)) return;
  const making = nameBeside(place);
  makeFolder(making);
  try {
    for (const name of await listNeededFiles(path))
      await linkOrCopy(await realpath(join(path, name)), join(making, name));
    await syncFolder(making);
    await rename(making, place);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    // Another cohort was faster.
    if (existsSync(place)) return;
    throw error;
  }
  await syncFolder(dirname(place));
}

async function linkOrCopy(source: string, target: string): Promise<void> {
  try {
    await link(source, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Another disk, another user's file, a file system without links, or too many of them.
    if (!['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EACCES'].includes(code ?? ''))
      throw error;
    await copyFile(source, target);
    const file = await open(target, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
