/** Student's t distribution. Pure. */

/** Coefficients of Lanczos's approximation (g = 7), good to 1e-15. */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
  -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
  1.5056327351493116e-7,
];
/** Where a continued fraction that has converged stops, and one that does not. */
const PRECISION = 1e-15;
const MOST_STEPS = 10_000;
/** In place of a denominator of 0 (Lentz's method). */
const TINY = 1e-300;

/**
 * The probability of a |t| at least as large by chance: the p-value of a two-sided test.
 *
 * @param degrees of freedom, at least 1
 */
export function twoSidedP(t: number, degrees: number): number {
  return regularizedBeta(degrees / (degrees + t * t), degrees / 2, 0.5);
}

const quantiles = new Map<number, number>();

/** The 0.975 quantile: half of a 95 % interval, in standard errors. */
export function t975(degrees: number): number {
  const known = quantiles.get(degrees);
  if (known !== undefined) return known;
  // p falls as t grows, and the quantile of one degree of freedom, 12.7, is the largest.
  let [low, high] = [1, 13];
  while (high - low > PRECISION * high) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (twoSidedP(middle, degrees) > 0.05) low = middle;
    else high = middle;
  }
  quantiles.set(degrees, high);
  return high;
}

/** I_x(a, b), by its continued fraction (Abramowitz & Stegun 26.5.8). */
function regularizedBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x),
  );
  // The fraction converges fast on this side, and on the other for the complement.
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(x, a, b)) / a
    : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

function betaFraction(x: number, a: number, b: number): number {
  const safe = (value: number) => (Math.abs(value) < TINY ? TINY : value);
  let numerator = 1;
  let denominator = 1 / safe(1 - ((a + b) * x) / (a + 1));
  let fraction = denominator;
  for (let m = 1; m <= MOST_STEPS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let factor = 1;
    for (const term of [even, odd]) {
      denominator = 1 / safe(1 + term * denominator);
      numerator = safe(1 + term / numerator);
      factor = denominator * numerator;
      fraction *= factor;
    }
    if (Math.abs(factor - 1) < PRECISION) break;
  }
  return fraction;
}

/** ln Γ(x) for x of at least 0.5. */
function logGamma(x: number): number {
  const shifted = x - 1;
  const sum = LANCZOS.slice(1).reduce(
    (total, coefficient, i) => total + coefficient / (shifted + i + 1),
    LANCZOS[0]!,
  );
  const t = shifted + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(t) - t + Math.log(sum);
}
