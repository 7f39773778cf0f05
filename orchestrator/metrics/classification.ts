/**
 * Metrics of predicted classes against true ones, as scikit-learn defines them. Both lists are class indices of equal length.
 * null where a metric is not defined (a denominator of 0).
 */

/** The share of rows that are right. */
export function accuracy(predicted: readonly number[], labels: readonly number[]): number | null {
  const right = labels.filter((label, i) => predicted[i] === label).length;
  return labels.length === 0 ? null : right / labels.length;
}

/** F1 of class 1: 2 tp / (2 tp + fp + fn). */
export function f1(predicted: readonly number[], labels: readonly number[]): number | null {
  const { tp, fp, fn } = confusion(predicted, labels);
  return tp + fp + fn === 0 ? null : (2 * tp) / (2 * tp + fp + fn);
}

/** Matthews' correlation of two classes, in [−1, 1] (Matthews 1975). */
export function matthews(predicted: readonly number[], labels: readonly number[]): number | null {
  const { tp, fp, fn, tn } = confusion(predicted, labels);
  const denominator = Math.sqrt(tp + fp) * Math.sqrt(tp + fn) * Math.sqrt(tn + fp) * Math.sqrt(tn + fn);
  return denominator === 0 ? null : (tp * tn - fp * fn) / denominator;
}

/** A prediction that is no number (NaN) counts as the wrong one of the two. */
function confusion(predicted: readonly number[], labels: readonly number[]) {
  const counts = { tp: 0, fp: 0, fn: 0, tn: 0 };
  for (const [i, label] of labels.entries()) {
    const positive = Number.isNaN(predicted[i]) ? label !== 1 : predicted[i] === 1;
    if (positive) counts[label === 1 ? 'tp' : 'fp']++;
    else counts[label === 1 ? 'fn' : 'tn']++;
  }
  return counts;
}
