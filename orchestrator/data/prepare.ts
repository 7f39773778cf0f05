import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConfigError } from '../config/errors';
import { writeFileAtomically, writeJsonAtomically } from '../store/atomic';
import type { PlannedDataset, PlannedSplit } from '../sweep/types';
import { glueTask } from './glue-tasks';
import { readOwnRows } from './own-rows';
import { chooseRows, type Row } from './rows';
import { encodeSafetensors, type Tensor } from './safetensors';
import { fileDigest, readRows, sourceDigest } from './source';
import { loadTokenizer, tokenizerDigest, type EncodeRow } from './tokenizer';

/** A split as it was written. */
export interface PreparedSplit {
  name: string;
  rows: number;
  /** Tokens in all, and of the longest row. */
  tokens: number;
  longest: number;
  /** Rows that lost tokens to max_length. */
  truncated: number;
}

/** A data set on disk; also the content of its dataset.json. */
export interface PreparedDataset {
  digest: string;
  task: string;
  kind: PlannedDataset['kind'];
  num_labels: number;
  label_names: string[];
  source: PlannedDataset['source'];
  max_length: number;
  splits: PreparedSplit[];
}

/** The folder of a data set under the artifact root. */
export function datasetPath(root: string, digest: string): string {
  return join(root, 'datasets', digest);
}

/**
 * Tokenizes a data set into `datasets/<digest>/` as Dataset in job.proto describes it, and returns its description. Does nothing where it is there.
 * The folder appears whole or not at all.
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
    return { ...(JSON.parse(await readFile(there, 'utf8')) as PreparedDataset), path, reused: true };
  }
  if (tokenizerDigest(backbonePath) !== dataset.tokenizer) {
    throw new ConfigError({ where: backbonePath, message: `its tokenizer ${CHANGED}` });
  }
  const encode = loadTokenizer(backbonePath, dataset.max_length);
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  await mkdir(temporary, { recursive: true });
  try {
    const splits: PreparedSplit[] = [];
    for (const split of dataset.splits) {
      splits.push(await writeSplit(temporary, dataset, split, encode));
    }
    const { digest, task, kind, num_labels, label_names, source, max_length } = dataset;
    const prepared: PreparedDataset = { digest, task, kind, num_labels, label_names, source, max_length, splits };
    await writeJsonAtomically(join(temporary, 'dataset.json'), prepared);
    const reused = !(await renameUnlessThere(temporary, path));
    return { ...prepared, path, reused };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

const CHANGED = 'has changed since the sweep was planned; start the sweep again to plan it with what is there now';

async function writeSplit(folder: string, dataset: PlannedDataset, split: PlannedSplit, encode: EncodeRow): Promise<PreparedSplit> {
  const where = split.file ?? `demo rows of ${dataset.task}`;
  if (split.file !== null && !existsSync(split.file)) {
    throw new ConfigError({ where, message: 'is no longer there; the sweep was planned with it' });
  }
  // Read first: a file that changes while it is read then has another digest.
  const { rows, digest } = await readSplit(dataset, split);
  if (digest !== split.digest) {
    throw new ConfigError({ where, message: CHANGED });
  }
  const chosen = chooseRows(rows.length, split.name === 'train' ? dataset.rows : dataset.validation_rows).map((i) => rows[i]!);
  const { tensors, ...counts } = ragged(chosen, encode, dataset.kind);
  await writeFileAtomically(join(folder, `${split.name}.safetensors`), encodeSafetensors(tensors));
  return { name: split.name, rows: chosen.length, ...counts };
}

async function readSplit(dataset: PlannedDataset, split: PlannedSplit): Promise<{ rows: Row[]; digest: string }> {
  const { columns, kind, label_names } = dataset;
  if (columns === undefined || split.file === null) {
    const task = glueTask(dataset.task);
    return { rows: await readRows(task, split), digest: sourceDigest(task, split) };
  }
  // Rows with a problem are left out here: planning found none, so a file that has some is a changed one, whose digest tells.
  const { rows } = await readOwnRows(split.file, { kind, columns }, label_names);
  return { rows, digest: fileDigest(split.file) };
}

/** Rows as one long run of tokens and where each begins. */
function ragged(rows: readonly Row[], encode: EncodeRow, kind: PlannedDataset['kind']) {
  const encoded = rows.map((row) => encode(row.text, row.pair));
  const tokens = encoded.reduce((total, { ids }) => total + ids.length, 0);
  const inputIds = new Int32Array(tokens);
  const typeIds = new Uint8Array(tokens);
  const offsets = new BigInt64Array(rows.length + 1);
  const labels = kind === 'regression' ? new Float32Array(rows.length) : new Int32Array(rows.length);
  let position = 0;
  let longest = 0;
  for (const [i, row] of encoded.entries()) {
    inputIds.set(row.ids, position);
    typeIds.set(row.typeIds, position);
    position += row.ids.length;
    longest = Math.max(longest, row.ids.length);
    offsets[i + 1] = BigInt(position);
    labels[i] = rows[i]!.label ?? (kind === 'regression' ? NaN : -1);
  }
  const tensors: Record<string, Tensor> = {
    input_ids: { shape: [tokens], data: inputIds },
    offsets: { shape: [rows.length + 1], data: offsets },
    token_type_ids: { shape: [tokens], data: typeIds },
    labels: { shape: [rows.length], data: labels },
  };
  return { tensors, tokens, longest, truncated: encoded.filter((row) => row.truncated).length };
}

/** Renames a folder into place and syncs its parent. False where another process was first: equal digests have equal content. */
async function renameUnlessThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
  const parent = await open(dirname(to));
  await parent.sync().finally(() => parent.close());
  return true;
}
