import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { datasetPath } from '../tasks/prepare';
import { evaluationSplits, readLabels } from '../tasks/evaluate';
import { evaluateSplit } from '../tasks/rows/metrics';
import type { Plan } from '../sweep/types';
import type { Baselines } from './summary';

/**
 * What always predicting the most frequent class of the validation rows would score, for each
 * classification task whose data set is under the root. Regression has none: a constant has no
 * correlation with anything.
 */
export function majorityBaselines(root: string, plan: Plan): Baselines {
  const baselines: Baselines = {};
  for (const dataset of plan.datasets) {
    if (
      dataset.kind !== 'classification' ||
      !existsSync(join(datasetPath(root, dataset.digest), 'dataset.json'))
    ) {
      continue;
    }
    const metrics: Record<string, number> = {};
    for (const split of evaluationSplits(dataset)) {
      const labels = readLabels(root, dataset, split);
      const majority = mostFrequent(labels);
      const predictions = {
        suffix: split.slice('validation'.length),
        predicted: labels.map(() => majority),
        labels,
      };
      Object.assign(metrics, evaluateSplit(dataset.metrics, predictions).metrics);
    }
    baselines[dataset.task] = metrics;
  }
  return baselines;
}

function mostFrequent(labels: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const label of labels) {
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts].sort(([a, n], [b, m]) => m - n || a - b)[0]![0];
}
