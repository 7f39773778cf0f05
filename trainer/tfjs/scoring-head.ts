/** The head that weights are scored with: ScoringHead of job.proto. */
import {
  ScoringHead,
  TaskKind,
  type Dataset,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Split } from '../host/splits';
import { makeViews, type Layout } from './layout';

/**
 * The weights (a flat vector of the layout) with the head that they are scored with; split: the
 * training rows.
 */
export function withScoringHead(
  { prune }: Trial,
  layout: Layout,
  weights: Float32Array,
  split: Split,
  dataset: Dataset,
): Float32Array {
  if (prune!.scoringHead !== ScoringHead.SCORING_HEAD_PRIOR) return weights;
  const result = weights.slice();
  makeViews(layout.shapes, result)['head.out.bias']!.set(labelPrior(split, dataset));
  return result;
}

/** log((n_c + 1) / (n + C)) of each class c, or the mean of the numbers. */
function labelPrior({ labels }: Split, { taskKind, numLabels }: Dataset): number[] {
  const own = labels[0]!;
  if (taskKind === TaskKind.TASK_KIND_REGRESSION) {
    let sum = 0;
    for (const label of own) sum += label;
    return [sum / own.length];
  }
  const counts = new Array<number>(numLabels).fill(0);
  for (const label of own) counts[label]!++;
  return counts.map((count) => Math.log((count + 1) / (own.length + numLabels)));
}
