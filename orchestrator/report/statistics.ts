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
    return { ...summary, interval: null, told_from_noise: null };
  }
  const half = (t975(n - 1) * std) / Math.sqrt(n);
  return {
    ...summary,
    interval: [mean - half, mean + half],
    told_from_noise: Math.abs(mean) > half,
  };
}

/** 0.975 quantiles of Student's t for 1 to 30 degrees of freedom. */
const T975 = [
  12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281, 2.201, 2.1788,
  2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.093, 2.086, 2.0796, 2.0739, 2.0687, 2.0639,
  2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
];
const Z975 = 1.959963985;

/**
 * The 0.975 quantile of Student's t. Above 30 degrees of freedom it is the Cornish–Fisher expansion
 * (Abramowitz & Stegun 26.7.5), accurate to 1e-5.
 */
export function t975(degrees: number): number {
  const z = Z975;
  const expansion =
    z +
    (z ** 3 + z) / (4 * degrees) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * degrees ** 3);
  return T975[degrees - 1] ?? expansion;
}
