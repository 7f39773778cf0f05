import { existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { syncFolder, writeJsonDurably } from '../../common/durable-files';
import { nameBeside, removeLeftovers } from '../../common/temporary-names';
import { ConfigError } from '../base/errors';
import { datasetPath, type PreparedSplit } from '../datasets/splits';
import type { PlannedDataset, PlannedSplit } from '../sweep/types';
import { digestTokenizer } from '../tokenizers/tokenizer';
import type { SplitReader } from './family';
import { findFamily } from './registry';

/** A data set on disk; with the fields of its family also the content of its dataset.json. */
export interface PreparedDataset extends Pick<
  PlannedDataset,
  'digest' | 'task' | 'kind' | 'num_labels' | 'label_names' | 'source' | 'max_length' | 'held_out'
> {
  splits: PreparedSplit[];
}

/**
 * Tokenizes a data set into `datasets/<digest>/`, in the format of Dataset in job.proto, and
 * returns its description. Reuses a data set that exists. The folder appears whole or not at all.
 *
 * @throws ConfigError if a file or the tokenizer has changed since the sweep was planned
 */
export async function prepareDataset(
  dataset: PlannedDataset,
  backbonePath: string,
  root: string,
): Promise<PreparedDataset & { path: string; reused: boolean }> {
  const path = datasetPath(root, dataset.digest);
  const there = join(path, 'dataset.json');
  if (existsSync(there)) {
    return {
      ...(JSON.parse(await readFile(there, 'utf8')) as PreparedDataset),
      path,
      reused: true,
    };
  }
  checkTokenizer(dataset, backbonePath);
  const family = findFamily(dataset.kind);
  const read = await family.files.openSplits(dataset, backbonePath);
  removeLeftovers(dirname(path));
  const temporary = nameBeside(path);
  makeFolder(temporary);
  try {
    const splits: PreparedSplit[] = [];
    for (const split of dataset.splits) {
      splits.push(await writeSplit(temporary, dataset, split, read));
    }
    const { digest, task, kind, num_labels, label_names, source, max_length } = dataset;
    const { held_out } = dataset;
    const prepared: PreparedDataset = {
      ...{ digest, task, kind, num_labels, label_names, source, max_length },
      ...(held_out && { held_out }),
      ...family.files.describe(dataset),
      splits,
    };
    await writeJsonDurably(join(temporary, 'dataset.json'), prepared);
    const reused = !(await renameUnlessThere(temporary, path));
    return { ...prepared, path, reused };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** @throws ConfigError if texts would become other tokens than when the sweep was planned */
export function checkTokenizer(
  { tokenizer }: Pick<PlannedDataset, 'tokenizer'>,
  backbonePath: string,
): void {
  if (digestTokenizer(backbonePath) === tokenizer) return;
  throw new ConfigError({ where: backbonePath, message: `its tokenizer ${CHANGED}` });
}

const CHANGED =
  'has changed since the sweep was planned; start the sweep again to plan it with the current ' +
  'content';

async function writeSplit(
  folder: string,
  dataset: PlannedDataset,
  split: PlannedSplit,
  { digest, read }: SplitReader,
): Promise<PreparedSplit> {
  const where = split.file ?? `demo rows of ${dataset.task}`;
  if (split.file !== null && !existsSync(split.file)) {
    throw new ConfigError({ where, message: 'no longer exists; the sweep was planned with it' });
  }
  const checkUnchanged = () => {
    if (digest(split) !== split.digest) throw new ConfigError({ where, message: CHANGED });
  };
  // Checked before reading, so that a changed file is reported as such and not by faults in its new
  // content; and after, because a file can change while it is read.
  checkUnchanged();
  const write = await read(split);
  checkUnchanged();
  return write(folder);
}

/**
 * Renames a folder into place and syncs its parent. Returns false if another process was first,
 * which does no harm: equal digests mean equal content.
 */
async function renameUnlessThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
  await syncFolder(dirname(to));
  return true;
}
