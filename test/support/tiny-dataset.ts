/**
 * Small tokenized data sets with something to learn, as a trainer reads them: the orchestrator's
 * tokenizer is not needed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Dataset } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { encodeSafetensors, type Tensor } from '../../orchestrator/datasets/safetensors';
import { seededRandom } from '../../orchestrator/base/seeded-random';
import { BART } from './tiny-bart';

/** Of BERT's vocabulary: [CLS], [SEP], and the range of whole English words. */
const CLS = 101;
const SEP = 102;
const WORDS = { from: 2000, to: 12000 };

export const TRAIN_ROWS = 96;
export const VALIDATION_ROWS = 40;

type Split = Record<string, Tensor>;
type Random = () => number;

/**
 * Writes the data set under an artifact root and returns what a job says of it. A row's label tells
 * whether it has the word 2000.
 */
export function writeTinyDataset(root: string): Dataset {
  return write(root, '7'.repeat(32), 'classification', TaskKind.TASK_KIND_CLASSIFICATION, 2, {
    train: classes(1, TRAIN_ROWS),
    validation: classes(2, VALIDATION_ROWS),
  });
}

/**
 * As `writeTinyDataset`, for question answering: the answer is the word 2000, where a row has it.
 * many: rows of a split of that name, so that a trainer can be killed while it predicts; left out
 * where there are none.
 */
export function writeTinyQuestions(root: string, many = 0): Dataset {
  return write(
    root,
    makeDigest('8', many),
    'question_answering',
    TaskKind.TASK_KIND_QUESTION_ANSWERING,
    2,
    {
      train: questions(1, TRAIN_ROWS),
      validation: questions(2, VALIDATION_ROWS),
      ...(many > 0 ? { many: questions(3, many) } : {}),
    },
  );
}

/**
 * As `writeTinyQuestions`, of the words of `writeTinyBart`: a row's summary is its first three
 * words.
 */
export function writeTinySummaries(root: string, many = 0): Dataset {
  return write(root, makeDigest('9', many), 'summarization', TaskKind.TASK_KIND_SUMMARIZATION, 0, {
    train: summaries(1, TRAIN_ROWS),
    validation: summaries(2, VALIDATION_ROWS),
    ...(many > 0 ? { many: summaries(3, many) } : {}),
  });
}

/** Another content, another digest. */
const makeDigest = (digit: string, many: number): string => String(many).padStart(32, digit);

function write(
  root: string,
  digest: string,
  kind: string,
  taskKind: TaskKind,
  numLabels: number,
  splits: Record<string, Split>,
): Dataset {
  const folder = join(root, 'datasets', digest);
  mkdirSync(folder, { recursive: true });
  for (const [name, tensors] of Object.entries(splits))
    writeFileSync(join(folder, `${name}.safetensors`), encodeSafetensors(tensors));
  writeFileSync(
    join(folder, 'dataset.json'),
    JSON.stringify({ digest, task: 'tiny', kind, num_labels: numLabels }),
  );
  return { name: `datasets/${digest}`, digest, taskKind, numLabels };
}

function classes(seed: number, count: number): Split {
  const { rows, marked } = markedRows(seed, count);
  return { ...texts(rows), labels: int32(marked.map((place) => (place > 0 ? 1 : 0))) };
}

function questions(seed: number, count: number): Split {
  const { rows, marked } = markedRows(seed, count);
  return { ...texts(rows), start_positions: int32(marked), end_positions: int32(marked) };
}

function summaries(seed: number, count: number): Split {
  const random = seededRandom(seed);
  const documents = Array.from({ length: count }, () =>
    words(random, 4 + Math.floor(random() * 12), BART.end + 1, BART.words),
  );
  const { input_ids, offsets } = texts(
    documents.map((document) => [BART.begin, ...document, BART.end]),
  );
  const target = texts(documents.map((document) => [...document.slice(0, 3), BART.end]));
  return {
    input_ids: input_ids!,
    offsets: offsets!,
    target_ids: target.input_ids!,
    target_offsets: target.offsets!,
  };
}

/**
 * Rows of which about half have the word 2000, and its place in each: 0, the first token's, where
 * it has none.
 */
function markedRows(seed: number, count: number): { rows: number[][]; marked: number[] } {
  const random = seededRandom(seed);
  const rows: number[][] = [];
  const marked: number[] = [];
  for (let row = 0; row < count; row++) {
    const some = words(random, 3 + Math.floor(random() * 10), WORDS.from + 1, WORDS.to);
    const isMarked = random() < 0.5;
    const place = isMarked ? Math.floor(random() * some.length) : -1;
    if (isMarked) some[place] = WORDS.from;
    rows.push([CLS, ...some, SEP]);
    marked.push(place + 1);
  }
  return { rows, marked };
}

const words = (random: Random, count: number, from: number, to: number) =>
  Array.from({ length: count }, () => from + Math.floor(random() * (to - from)));

function texts(rows: number[][]): Split {
  const offsets = [0n];
  for (const row of rows) offsets.push(offsets.at(-1)! + BigInt(row.length));
  const ids = rows.flat();
  return {
    input_ids: int32(ids),
    offsets: { shape: [offsets.length], data: BigInt64Array.from(offsets) },
    token_type_ids: { shape: [ids.length], data: new Uint8Array(ids.length) },
  };
}

const int32 = (values: number[]): Tensor => ({
  shape: [values.length],
  data: Int32Array.from(values),
});
