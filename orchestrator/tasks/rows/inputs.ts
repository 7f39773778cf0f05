/** Rows without labels: how they are read, and what is said of their predictions. */
import { ConfigError, UserError, type Problem } from '../../base/errors';
import { limitProblems } from '../../tables/problem-list';
import { readTable } from '../../tables/table';
import { loadRowEncoder } from '../../tokenizers/rows';
import type { InputPlace, Inputs, InputSplit } from '../inputs';
import { readTexts } from './cells';
import type { Row, RowsDataset } from './dataset';
import { readLogits } from './evaluation';
import { writeRows } from './files';
import { argmaxRows } from './metrics';
import { findGlueTask } from './published';

export const rowInputs: Inputs<RowsDataset> = {
  help: {
    tasks: 'classification, regression',
    columns: "the task's text columns",
    line: '{"label", "scores"} for classes, {"score"} for numbers',
  },
  async writeFile(file, to) {
    return writeUnlabelled(await readUnlabelled(file, listColumns(to.dataset)), 'input', to);
  },
  describe(predictions, { rows }, { dataset }) {
    const logits = readFinite(predictions, dataset, rows);
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
};

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

/** @throws UserError (exit 1) if a row has no usable logits */
export function readFinite(predictions: string, dataset: RowsDataset, rows: number): Float32Array {
  const logits = readLogits(predictions, dataset, rows);
  const wrong = logits.findIndex((logit) => !Number.isFinite(logit));
  if (wrong === -1) return logits;
  const row = Math.floor(wrong / dataset.num_labels) + 1;
  throw new UserError(`the adapter's logits for row ${row} are NaN or infinite`, 1);
}

/** Writes rows as a split whose name begins so. */
export async function writeUnlabelled(
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
    const read = readTexts(cells, columns, () => 'text');
    const message = problem ?? read.problem;
    if (message !== null) problems.push({ where, message });
    else rows.push({ text: read.texts[0]!, pair: read.texts[1] ?? null, label: null });
  }
  if (problems.length > 0) throw new ConfigError(limitProblems(file, problems, 'rows'));
  return rows;
}
