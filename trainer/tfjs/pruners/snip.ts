/** |g · w| divided by its sum over all matrices (Lee et al. 2019). */
import type { Scores } from '../ranking';
import { mapped, scoringRows, type Scorer } from './scorer';

export const snip: Scorer = {
  plannedRows: scoringRows,
  published: {
    // The gradient of up's mask.
    chooseWrittenLast: (_, up) => up,
    /**
     * Divided by the sum of all scores over the largest, where infinite scores count as 1. All-zero
     * scores become NaN.
     */
    normalize(scores, twice) {
      const largest = sumOrMax(scores, Math.max);
      let norm = 0;
      for (const own of Object.values(scores))
        for (const score of own) norm += bounded(score) / largest;
      return mapped(scores, (own, name) => {
        const once = own.map((score) => score / norm);
        return twice.has(name) ? once.map((score) => score / norm) : once;
      });
    },
  },
  /** By the official rules of all weights, even removed ones, and not divided yet. */
  async score({ weights, unmasked, isOfficial, gradient }) {
    const gradients = await gradient();
    const raw = mapped(isOfficial ? unmasked : weights, (values, name) =>
      Float32Array.from(values, (value, i) => Math.abs(gradients[name]![i]! * value)),
    );
    if (isOfficial) return raw;
    const total = sumOrMax(raw, (part, score) => part + score);
    // All zero: left unchanged, for the ranking to refuse.
    return total === 0 ? raw : mapped(raw, (values) => values.map((value) => value / total));
  },
};

const bounded = (score: number): number => (Math.abs(score) === Infinity ? 1 : score);

/** All scores put together, from 0 on. */
function sumOrMax(scores: Scores, join: (a: number, b: number) => number): number {
  let found = 0;
  for (const own of Object.values(scores))
    for (const score of own) found = join(found, bounded(score));
  return found;
}
