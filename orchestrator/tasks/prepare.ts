import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConfigError } from '../base/errors';
import { nameBeside, syncFolder, writeDurably, writeJsonDurably } from '../../common/durable-files';
import type { PlannedDataset, PlannedSplit } from '../sweep/types';
import { glueTask } from './rows/published';
import { readOwnRows } from './rows/own-tables';
import { loadQaTokenizer } from './questions/features';
import { writeQuestionSplit } from './questions/files';
import { chooseQuestions, questionsDigest, readQuestions } from './questions/source';
import { tokenTensors } from '../datasets/ragged';
import { chooseRows, type Row } from '../datasets/choose-rows';
import { encodeSafetensors } from '../datasets/safetensors';
import { fileDigest, readRows, sourceDigest } from './sources';
import { writeSummarySplit } from './summaries/files';
import { readSummarySplit, summariesDigest } from './summaries/source';
import { loadSummaryTokenizer } from './summaries/tokenizer';
import { loadTokenizer, tokenizerDigest, type EncodeRow } from '../tokenizers/tokenizer';

/** A split as it was written. */
export interface PreparedSplit {
  name: string;
  /** Of question answering, questions. */
  rows: number;
  /** Of question answering: windows, which are the rows of the file. */
  features?: number;
  /** Tokens in all, and of the longest row. */
  tokens: number;
  longest: number;
  /** Rows that lost tokens to max_length; a question loses none. */
  truncated: number;
  /**
   * Of summarization: tokens of all summaries, and how many of them lost some to max_target_length.
   */
  targets?: { tokens: number; truncated: number };
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
  questions?: PlannedDataset['questions'];
  summaries?: PlannedDataset['summaries'];
  splits: PreparedSplit[];
}

/** The folder of a data set under the artifact root. */
export function datasetPath(root: string, digest: string): string {
  return join(root, 'datasets', digest);
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
  if (tokenizerDigest(backbonePath) !== dataset.tokenizer) {
    throw new ConfigError({ where: backbonePath, message: `its tokenizer ${CHANGED}` });
  }
  const read = splitReader(dataset, backbonePath);
  const temporary = nameBeside(path);
  await mkdir(temporary, { recursive: true });
  try {
    const splits: PreparedSplit[] = [];
    for (const split of dataset.splits) {
      splits.push(await writeSplit(temporary, dataset, split, read));
    }
    const {
      digest,
      task,
      kind,
      num_labels,
      label_names,
      source,
      max_length,
      questions,
      summaries,
    } = dataset;
    const prepared: PreparedDataset = {
      digest,
      task,
      kind,
      num_labels,
      label_names,
      source,
      max_length,
      questions,
      summaries,
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

/** How a data set's splits are read and written. The tokenizer is opened once for all of them. */
interface SplitReader {
  /** Of what the split is read from. */
  digest: (split: PlannedSplit) => string;
  /** Reads a split, and returns what writes it. */
  read: (split: PlannedSplit) => Promise<(folder: string) => Promise<PreparedSplit>>;
}

function splitReader(dataset: PlannedDataset, backbonePath: string): SplitReader {
  const { questions, summaries, max_length, columns } = dataset;
  if (summaries !== undefined) {
    const tokenizer = loadSummaryTokenizer(backbonePath, {
      max_length,
      max_target_length: summaries.max_target_length,
    });
    return {
      digest: (split) => summariesDigest(dataset.task, split),
      read: async (split) => {
        const { rows: all } = await readSummarySplit(dataset.task, summaries.columns, split);
        return async (folder) => {
          const rows = chooseRows(all.length, limitOf(dataset, split)).map((i) => all[i]!);
          return {
            name: split.name,
            rows: rows.length,
            ...(await writeSummarySplit(folder, split.name, rows, tokenizer, summaries.columns)),
          };
        };
      },
    };
  }
  if (questions === undefined) {
    const encode = loadTokenizer(backbonePath, max_length);
    return {
      digest: (split) =>
        columns === undefined || split.file === null
          ? sourceDigest(glueTask(dataset.task), split)
          : fileDigest(split.file),
      read: async (split) => {
        const rows = await readSplit(dataset, split);
        return (folder) => writeRows(folder, split, rows, encode, dataset);
      },
    };
  }
  const encode = loadQaTokenizer(backbonePath, { max_length, stride: questions.doc_stride });
  return {
    digest: (split) => questionsDigest(questions, split),
    read: async (split) => {
      const all = await readQuestions(questions, split);
      return async (folder) => {
        const chosen = chooseQuestions(all, limitOf(dataset, split), encode, split);
        const counts = await writeQuestionSplit(folder, split.name, chosen);
        return {
          name: split.name,
          rows: chosen.examples.length,
          features: chosen.features.length,
          ...counts,
          truncated: 0,
        };
      };
    },
  };
}

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

const limitOf = ({ rows, validation_rows }: PlannedDataset, { name }: PlannedSplit) =>
  name === 'train' ? rows : validation_rows;

async function readSplit(
  { task, columns, kind, label_names }: PlannedDataset,
  split: PlannedSplit,
): Promise<Row[]> {
  if (columns === undefined || split.file === null) return readRows(glueTask(task), split);
  // Rows with a problem are left out here: planning found none.
  return (await readOwnRows(split.file, { kind, columns }, label_names)).rows;
}

async function writeRows(
  folder: string,
  split: PlannedSplit,
  rows: readonly Row[],
  encode: EncodeRow,
  dataset: PlannedDataset,
): Promise<PreparedSplit> {
  const chosen = chooseRows(rows.length, limitOf(dataset, split)).map((i) => rows[i]!);
  const encoded = chosen.map((row) => encode(row.text, row.pair));
  const { tensors, ...counts } = tokenTensors(encoded);
  const labels =
    dataset.kind === 'regression'
      ? Float32Array.from(chosen, ({ label }) => label ?? NaN)
      : Int32Array.from(chosen, ({ label }) => label ?? -1);
  const all = { ...tensors, labels: { shape: [chosen.length], data: labels } };
  await writeDurably(join(folder, `${split.name}.safetensors`), encodeSafetensors(all));
  return {
    name: split.name,
    rows: chosen.length,
    ...counts,
    truncated: encoded.filter((row) => row.truncated).length,
  };
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
