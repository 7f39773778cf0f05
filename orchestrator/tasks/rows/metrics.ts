import { accuracy, f1, macroF1, matthews } from './classification';
import { pearson, spearman } from './correlation';
import type { Metrics } from '../family';

const METRICS: Record<
  string,
  (predicted: readonly number[], labels: readonly number[]) => number | null
> = {
  accuracy,
  f1,
  macro_f1: macroF1,
  matthews,
  pearson,
  spearman,
};

/** What is known of one split: the task's metrics on it are those whose name ends in `suffix`. */
export interface Predictions {
  /** `` or `_mismatched`. */
  suffix: string;
  /** Class indices, or numbers for regression; NaN where the model gave no number. */
  predicted: number[];
  labels: number[];
}

/**
 * A task's official metrics on a split.
 *
 * @param names the task's metrics; those of this split are computed
 * @returns metrics in the order of names. One that is not defined on these rows counts as 0, with a
 *   warning that says so
 */
export function evaluateSplit(
  names: readonly string[],
  { suffix, predicted, labels }: Predictions,
): Metrics {
  const metrics: Record<string, number> = {};
  const warnings: string[] = [];
  const broken = predicted.filter((value) => Number.isNaN(value)).length;
  if (broken > 0) {
    warnings.push(
      'non_finite_predictions: ' +
        `${broken} of ${predicted.length} rows have a prediction that is no number`,
    );
  }
  for (const name of names) {
    const compute = METRICS[cutSuffix(name, suffix)];
    if (compute === undefined) {
      continue;
    }
    const value = compute(predicted, labels);
    const defined = value !== null && Number.isFinite(value);
    metrics[name] = defined ? value : 0;
    if (!defined) {
      warnings.push(
        `undefined_metric: ${name} is not defined on these predictions and counts as 0`,
      );
    }
  }
  return { metrics, warnings };
}

/**
 * `accuracy` for `accuracy_mismatched` on the mismatched split; nothing for metrics of another
 * split.
 */
function cutSuffix(name: string, suffix: string): string {
  return name.endsWith(suffix) ? name.slice(0, name.length - suffix.length) : '';
}

/**
 * The class with the highest logit in each row, the first of equal ones; NaN where a row has a
 * logit that is no number.
 */
export function argmaxRows(logits: Float32Array, classes: number): number[] {
  return Array.from({ length: logits.length / classes }, (_, row) => {
    let best = 0;
    for (let c = 0; c < classes; c++) {
      const value = logits[row * classes + c]!;
      if (!Number.isFinite(value)) return NaN;
      if (value > logits[row * classes + best]!) best = c;
    }
    return best;
  });
}
