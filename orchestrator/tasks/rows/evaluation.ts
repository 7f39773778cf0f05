/** Turns a trial's logits into classes or numbers, and these into metrics. */
import { ConfigError } from '../../base/errors';
import { readFloat32 } from '../../datasets/safetensors';
import { listEvaluationSplits } from '../../datasets/splits';
import type { Confusion, Evaluation, EvaluationRequest, TrialEvaluation } from '../family';
import type { RowsDataset } from './dataset';
import { readLabels } from './files';
import { argmaxRows, evaluateSplit } from './metrics';

export const rowEvaluation: Evaluation<RowsDataset> = {
  evaluate: evaluateRows,
  countConfusions,
  measureBaseline: measureMajority,
};

/**
 * Computes metrics from predictions.<split>.safetensors (logits float32 [rows, labels]) and the
 * data set's labels, over all splits of a task: MNLI has accuracy (matched) and
 * accuracy_mismatched.
 */
function evaluateRows({
  root,
  dataset,
  findPredictions,
}: EvaluationRequest<RowsDataset>): TrialEvaluation {
  const metrics: Record<string, number> = {};
  const warnings: string[] = [];
  for (const split of listEvaluationSplits(dataset)) {
    const labels = readLabels(root, dataset, split);
    const predicted = readPredictions(findPredictions(split), dataset, labels.length);
    if (
      dataset.kind === 'classification' &&
      new Set(predicted).size === 1 &&
      new Set(labels).size > 1
    ) {
      warnings.push(
        'one_class_predictions: every row of ' +
          `${split} is predicted as ${dataset.label_names[predicted[0]!] ?? 'no class'}`,
      );
    }
    const evaluation = evaluateSplit(dataset.metrics, {
      suffix: findSuffix(split),
      predicted,
      labels,
    });
    Object.assign(metrics, evaluation.metrics);
    warnings.push(...evaluation.warnings);
  }
  return { metrics, warnings };
}

function countConfusions({
  root,
  dataset,
  findPredictions,
}: EvaluationRequest<RowsDataset>): Confusion[] {
  if (dataset.kind !== 'classification') return [];
  return listEvaluationSplits(dataset).map((split) => {
    const labels = readLabels(root, dataset, split);
    const predicted = readPredictions(findPredictions(split), dataset, labels.length);
    return { split, labels: dataset.label_names, ...countPairs(predicted, labels, dataset) };
  });
}

function countPairs(
  predicted: readonly number[],
  labels: readonly number[],
  { num_labels: classes }: RowsDataset,
): Pick<Confusion, 'counts' | 'without_prediction'> {
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  const without = new Array<number>(classes).fill(0);
  for (const [i, label] of labels.entries()) {
    const guess = predicted[i]!;
    if (Number.isNaN(guess)) without[label]!++;
    else counts[label]![guess]!++;
  }
  return { counts, ...(without.some((n) => n > 0) ? { without_prediction: without } : {}) };
}

const findSuffix = (split: string) => split.slice('validation'.length);

function readPredictions(path: string, dataset: RowsDataset, rows: number): number[] {
  const data = readLogits(path, dataset, rows);
  return dataset.kind === 'regression'
    ? Array.from(data, (value) => (Number.isFinite(value) ? value : NaN))
    : argmaxRows(data, dataset.num_labels);
}

/** Logits [rows, labels] of a file of predictions. */
export function readLogits(path: string, dataset: RowsDataset, rows: number): Float32Array {
  const { shape, data } = readFloat32(path, 'logits');
  if (shape.length !== 2 || shape[0] !== rows || shape[1] !== dataset.num_labels) {
    const expected = `[${rows}, ${dataset.num_labels}]`;
    throw new ConfigError({
      where: path,
      message: `has logits of shape [${shape.join(', ')}]; must be ${expected}`,
    });
  }
  return data;
}

/**
 * The metrics of always predicting the most frequent class of the validation rows; null for
 * regression, where a constant has no correlation with anything.
 */
function measureMajority(root: string, dataset: RowsDataset): Record<string, number> | null {
  if (dataset.kind !== 'classification') return null;
  const metrics: Record<string, number> = {};
  for (const split of listEvaluationSplits(dataset)) {
    const labels = readLabels(root, dataset, split);
    const majority = findMostFrequent(labels);
    const predictions = {
      suffix: findSuffix(split),
      predicted: labels.map(() => majority),
      labels,
    };
    Object.assign(metrics, evaluateSplit(dataset.metrics, predictions).metrics);
  }
  return metrics;
}

function findMostFrequent(labels: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const label of labels) {
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts].sort(([a, n], [b, m]) => m - n || a - b)[0]![0];
}
