/** Rows without labels: what they are read from, and what is said of their predictions. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, UserError, type Problem } from '../../base/errors';
import { limitProblems } from '../../tables/problem-list';
import { readTable } from '../../tables/table';
import { loadRowEncoder } from '../../tokenizers/rows';
import type { InputPlace, Inputs, InputSplit, TestSplit } from '../family';
import type { Row, RowsDataset } from './dataset';
import { readLogits } from './evaluation';
import { writeRows } from './files';
import { readGlueTsv } from './glue-tsv';
import { argmaxRows } from './metrics';
import { findGlueTask, GLUE_TASK_NAMES, type GlueTask, type GlueTaskName } from './published';

export const rowInputs: Inputs<RowsDataset> = {
  listColumns,
  async writeFile(file, to) {
    return writeSplit(await readUnlabelled(file, listColumns(to.dataset)), 'input', to);
  },
  async writeTest(directory, to) {
    const { task: name, columns } = to.dataset;
    if (columns !== undefined || !isGlue(name))
      throw new UserError(
        `task ${name} has no official test rows; GLUE's tasks have: ${GLUE_TASK_NAMES.join(', ')}`,
        2,
        'Use --input with a file of your own.',
      );
    const splits: TestSplit[] = [];
    const task = findGlueTask(name);
    for (const { split, tsv, submission } of listTests(task)) {
      const rows = readTest(findTest(directory, task, tsv), task);
      splits.push({ submission, ...(await writeSplit(rows, split, to)) });
    }
    return splits;
  },
  describe(predictions, rows, dataset) {
    const logits = readLogits(predictions, dataset, rows);
    if (dataset.kind === 'regression') return Array.from(logits, (score) => ({ score }));
    const labels = dataset.num_labels;
    return argmaxRows(logits, labels).map((index, row) => {
      const scores = softmax(logits.subarray(row * labels, (row + 1) * labels));
      const named = scores.map((score, i) => [dataset.label_names[i]!, score]);
      return {
        label: dataset.label_names[index]!,
        scores: Object.fromEntries(named) as Record<string, number>,
      };
    });
  },
  writeSubmission(predictions, rows, dataset) {
    const task = findGlueTask(dataset.task);
    const logits = readLogits(predictions, dataset, rows);
    const cells =
      task.kind === 'regression'
        ? Array.from(logits, (score) => Math.min(5, Math.max(0, score)).toFixed(3))
        : argmaxRows(logits, dataset.num_labels).map((index) =>
            IS_NAMED.includes(task.name) ? task.labels[index]! : String(index),
          );
    return `index\tprediction\n${cells.map((cell, i) => `${i}\t${cell}\n`).join('')}`;
  },
};

/** Tasks whose submissions have the names of classes; the others have 0 and 1. */
const IS_NAMED: readonly GlueTaskName[] = ['mnli', 'qnli', 'rte'];

const isGlue = (name: string): name is GlueTaskName =>
  (GLUE_TASK_NAMES as readonly string[]).includes(name);

function listColumns({ task, columns }: RowsDataset): readonly string[] {
  return columns?.text ?? findGlueTask(task).hubText;
}

/** The probabilities of the classes, in float64. */
function softmax(logits: Float32Array): number[] {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

async function writeSplit(
  rows: readonly Row[],
  name: string,
  { folder, mark, dataset, backbonePath }: InputPlace<RowsDataset>,
): Promise<InputSplit> {
  const encode = await loadRowEncoder(backbonePath, dataset.max_length);
  const split = `${name}-${mark}`;
  await writeRows(folder, { name: split }, rows, encode, dataset);
  return { split, rows: rows.length };
}

async function readUnlabelled(file: string, columns: readonly string[]): Promise<Row[]> {
  const problems: Problem[] = [];
  const rows: Row[] = [];
  for (const { where, cells, problem } of await readTable(file, columns)) {
    const wrong = columns.find((_, i) => typeof cells[i] !== 'string' || cells[i].trim() === '');
    if (problem !== null) problems.push({ where, message: problem });
    else if (wrong !== undefined)
      problems.push({ where, message: `"${wrong}" is missing or empty; must be text` });
    else rows.push({ text: String(cells[0]), pair: (cells[1] as string) ?? null, label: null });
  }
  if (problems.length > 0) throw new ConfigError(limitProblems(file, problems, 'rows'));
  return rows;
}

/** GLUE's files of test rows, and what their submissions are called. */
function listTests({
  name,
  folder,
}: GlueTask): { split: string; tsv: string; submission: string }[] {
  if (name !== 'mnli') return [{ split: 'test', tsv: 'test.tsv', submission: `${folder}.tsv` }];
  return [
    { split: 'test', tsv: 'test_matched.tsv', submission: 'MNLI-m.tsv' },
    { split: 'test_mismatched', tsv: 'test_mismatched.tsv', submission: 'MNLI-mm.tsv' },
  ];
}

function findTest(directory: string, { folder }: GlueTask, tsv: string): string {
  const places = [join(directory, 'glue', folder, tsv), join(directory, folder, tsv)];
  const found = places.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new ConfigError({
    where: directory,
    message: `has no ${folder}/${tsv}, GLUE's test rows, directly or under glue/`,
  });
}

/** Test files have a header, also where training files have none, and no labels. */
function readTest(file: string, task: GlueTask): Row[] {
  const { headerless, skipsCutLines, ...rest } = task;
  void [headerless, skipsCutLines];
  return readGlueTsv(file, { ...rest, label: NO_LABEL });
}

/** No column is called so. */
const NO_LABEL = '\0';
