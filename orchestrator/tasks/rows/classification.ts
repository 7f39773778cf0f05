/**
 * Metrics of predicted classes against true ones, as scikit-learn defines them. Both arguments are
 * lists of class indices of equal length. null if a metric is undefined (a denominator of 0).
 */

/** The fraction of correct rows. */
export function accuracy(predicted: readonly number[], labels: readonly number[]): number | null {
  const right = labels.filter((label, i) => predicted[i] === label).length;
  return labels.length === 0 ? null : right / labels.length;
}

/** F1 of class 1: 2 tp / (2 tp + fp + fn). */
export function f1(predicted: readonly number[], labels: readonly number[]): number | null {
  const { tp, fp, fn } = confusion(predicted, labels);
  return tp + fp + fn === 0 ? null : (2 * tp) / (2 * tp + fp + fn);
}

/**
 * The mean F1 over the classes that occur among predictions or labels. A NaN prediction counts as a
 * miss.
 */
export function macroF1(predicted: readonly number[], labels: readonly number[]): number | null {
  const { right, guessed, real } = countClasses(predicted, labels);
  const classes = [...new Set([...guessed.keys(), ...real.keys()])].filter(
    (each) => !Number.isNaN(each),
  );
  const scores = classes.map(
    (each) => (2 * (right.get(each) ?? 0)) / ((guessed.get(each) ?? 0) + (real.get(each) ?? 0)),
  );
  return classes.length === 0
    ? null
    : scores.reduce((sum, score) => sum + score, 0) / classes.length;
}

/**
 * Matthews' correlation, in [−1, 1]: for two classes (Matthews 1975), or R_K for more (Gorodkin
 * 2004).
 */
export function matthews(predicted: readonly number[], labels: readonly number[]): number | null {
  if ([predicted, labels].some((list) => list.some((each) => each > 1)))
    return matthewsOfMany(predicted, labels);
  const { tp, fp, fn, tn } = confusion(predicted, labels);
  const denominator =
    Math.sqrt(tp + fp) * Math.sqrt(tp + fn) * Math.sqrt(tn + fp) * Math.sqrt(tn + fn);
  return denominator === 0 ? null : (tp * tn - fp * fn) / denominator;
}

/**
 * If c of s rows are correct, and class k is predicted p_k times and true t_k times:
 * (c s − Σ p_k t_k) / √((s² − Σ p_k²)(s² − Σ t_k²)).
 */
function matthewsOfMany(predicted: readonly number[], labels: readonly number[]): number | null {
  const { right, guessed, real } = countClasses(predicted, labels);
  const total = (counts: Iterable<number>) => [...counts].reduce((sum, count) => sum + count, 0);
  const squares = (counts: Map<number, number>) =>
    total([...counts.values()].map((count) => count * count));
  const rows = labels.length;
  const chance = total([...guessed].map(([each, count]) => count * (real.get(each) ?? 0)));
  const denominator =
    Math.sqrt(rows * rows - squares(guessed)) * Math.sqrt(rows * rows - squares(real));
  return denominator === 0 ? null : (total(right.values()) * rows - chance) / denominator;
}

/**
 * Counts rows by class: correctly predicted, predicted at all, and true. NaN is a class that is
 * never true.
 */
function countClasses(predicted: readonly number[], labels: readonly number[]) {
  const [right, guessed, real] = [
    new Map<number, number>(),
    new Map<number, number>(),
    new Map<number, number>(),
  ];
  const add = (counts: Map<number, number>, each: number) =>
    counts.set(each, (counts.get(each) ?? 0) + 1);
  for (const [i, label] of labels.entries()) {
    add(real, label);
    add(guessed, predicted[i]!);
    if (predicted[i] === label) add(right, label);
  }
  return { right, guessed, real };
}

/** A NaN prediction counts as the wrong one of the two classes. */
function confusion(predicted: readonly number[], labels: readonly number[]) {
  const counts = { tp: 0, fp: 0, fn: 0, tn: 0 };
  for (const [i, label] of labels.entries()) {
    const positive = Number.isNaN(predicted[i]) ? label !== 1 : predicted[i] === 1;
    if (positive) counts[label === 1 ? 'tp' : 'fp']++;
    else counts[label === 1 ? 'fn' : 'tn']++;
  }
  return counts;
}
