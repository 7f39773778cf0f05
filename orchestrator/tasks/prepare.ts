import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { nameBeside, syncFolder, writeJsonDurably } from '../../common/durable-files';
import { ConfigError } from '../base/errors';
import { datasetPath, type PreparedSplit } from '../datasets/splits';
import type { PlannedDataset, PlannedSplit } from '../sweep/types';
import { digestTokenizer } from '../tokenizers/tokenizer';
import type { SplitReader } from './family';
import { findFamily } from './registry';

/** A data set on disk; also the content of its dataset.json, with what its family says besides. */
export interface PreparedDataset extends Pick<
  PlannedDataset,
  'digest' | 'task' | 'kind' | 'num_labels' | 'label_names' | 'source' | 'max_length'
> {
  splits: PreparedSplit[];
}

/**
 * Tokenizes a data set into `datasets/<digest>/` as Dataset in job.proto describes it, and returns
 * its description. Does nothing where it is there. The folder appears whole or not at all.
 *
 * @throws ConfigError where a file or the tokenizer is not what it was when the sweep was planned
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
  if (digestTokenizer(backbonePath) !== dataset.tokenizer) {
    throw new ConfigError({ where: backbonePath, message: `its tokenizer ${CHANGED}` });
  }
  const family = findFamily(dataset.kind);
  const read = family.files.openSplits(dataset, backbonePath);
  const temporary = nameBeside(path);
  await mkdir(temporary, { recursive: true });
  try {
    const splits: PreparedSplit[] = [];
    for (const split of dataset.splits) {
      splits.push(await writeSplit(temporary, dataset, split, read));
    }
    const { digest, task, kind, num_labels, label_names, source, max_length } = dataset;
    const prepared: PreparedDataset = {
      ...{ digest, task, kind, num_labels, label_names, source, max_length },
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

const CHANGED =
  'has changed since the sweep was planned; start the sweep again to plan it with what is ' +
  'there now';

async function writeSplit(
  folder: string,
  dataset: PlannedDataset,
  split: PlannedSplit,
  { digest, read }: SplitReader,
): Promise<PreparedSplit> {
  const where = split.file ?? `demo rows of ${dataset.task}`;
  if (split.file !== null && !existsSync(split.file)) {
    throw new ConfigError({ where, message: 'is no longer there; the sweep was planned with it' });
  }
  const checkUnchanged = () => {
    if (digest(split) !== split.digest) throw new ConfigError({ where, message: CHANGED });
  };
  // Before: what is wrong with another content is not the point. After: a file can change while it
  // is read.
  checkUnchanged();
  const write = await read(split);
  checkUnchanged();
  return write(folder);
}

/**
 * Renames a folder into place and syncs its parent. False where another process was first: equal
 * digests have equal content.
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
