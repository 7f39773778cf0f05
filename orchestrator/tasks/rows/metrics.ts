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

/** The predictions of one split, whose metrics are those with names that end in `suffix`. */
export interface Predictions {
  /** `` or `_mismatched`. */
  suffix: string;
  /** Class indices, or numbers for regression; NaN if the model's output is not finite. */
  predicted: number[];
  labels: number[];
}

/**
 * Computes a task's official metrics on a split.
 *
 * @param names the task's metrics, of which those for this split are computed
 * @returns metrics in the order of names. A metric that is undefined on these rows counts as 0,
 *   with a warning
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
        `${broken} of ${predicted.length} rows have a prediction that is NaN or infinite`,
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
      warnings.push(`undefined_metric: ${name} is undefined on these predictions and counts as 0`);
    }
  }
  return { metrics, warnings };
}

/**
 * `accuracy` for `accuracy_mismatched` on the mismatched split; an empty string for metrics of
 * other splits.
 */
function cutSuffix(name: string, suffix: string): string {
  return name.endsWith(suffix) ? name.slice(0, name.length - suffix.length) : '';
}

/**
 * The class with the highest logit in each row, the first of equal ones; NaN if a logit of the row
 * is NaN or infinite.
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
