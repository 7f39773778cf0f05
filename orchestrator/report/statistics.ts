import { t975, twoSidedP } from './student-t';

/** A mean over seeds. */
export interface Mean {
  mean: number;
  /** Sample standard deviation (n − 1); null if n is 1. */
  std: number | null;
  n: number;
}

/** A mean of paired differences, with its 95 % interval by Student's t. */
export interface PairedDifference extends Mean {
  /**
   * null if n is 1 or all differences are equal, which on a few hundred rows is chance, not
   * certainty.
   */
  interval: [low: number, high: number] | null;
  /** Whether the interval excludes 0; null without an interval. */
  told_from_noise: boolean | null;
  /** Of the paired t-test, for this difference alone; null without an interval. */
  p: number | null;
  /** Corrected by Holm over the rows of its table; absent where nothing is corrected. */
  p_holm?: number;
  /** Whether the interval lies inside ± the sweep's margin; absent without either. */
  within_margin?: boolean;
}

/** A standard deviation of metrics below this is rounding. */
const ROUNDING = 1e-12;

/** Mean and sample standard deviation; null without values. */
export function computeMean(values: readonly number[]): Mean | null {
  const n = values.length;
  if (n === 0) {
    return null;
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, std: n === 1 ? null : Math.sqrt(squares / (n - 1)), n };
}

/** The mean of differences, with the interval mean ± t · std / √n; null without values. */
export function pairedDifference(differences: readonly number[]): PairedDifference | null {
  const summary = computeMean(differences);
  if (summary === null) {
    return null;
  }
  const { mean, std, n } = summary;
  if (std === null || std < ROUNDING) {
    return { ...summary, interval: null, told_from_noise: null, p: null };
  }
  const half = (t975(n - 1) * std) / Math.sqrt(n);
  return {
    ...summary,
    interval: [mean - half, mean + half],
    told_from_noise: Math.abs(mean) > half,
    p: twoSidedP((mean * Math.sqrt(n)) / std, n - 1),
  };
}

/**
 * Corrects p-values for their number (Holm 1979): if every difference were chance, one of the
 * corrected values would be below α with a probability of at most α. In the order given.
 */
export function correctByHolm(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const corrected = new Array<number>(values.length);
  let least = 0;
  for (const [rank, i] of order.entries()) {
    least = Math.max(least, Math.min(1, (values.length - rank) * values[i]!));
    corrected[i] = least;
  }
  return corrected;
}
