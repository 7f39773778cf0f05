import { seededRandom } from '../base/seeded-random';

/** Increased when the same request chooses different rows; part of a data set's digest. */
export const ROW_CHOICE_VERSION = 1;
const ROW_CHOICE_SEED = 20221207;

/**
 * Chooses at most `limit` rows of a split and returns their indices in ascending order. They are
 * the beginning of one fixed permutation, so the choice does not depend on the seed, and a smaller
 * choice is part of a larger one.
 */
export function chooseRows(available: number, limit: number | null): number[] {
  const indices = Array.from({ length: available }, (_, i) => i);
  if (limit === null || limit >= available) {
    return indices;
  }
  const random = seededRandom(ROW_CHOICE_SEED);
  for (let i = 0; i < limit; i++) {
    const j = i + Math.floor(random() * (available - i));
    [indices[i], indices[j]] = [indices[j]!, indices[i]!];
  }
  return indices.slice(0, limit).sort((a, b) => a - b);
}
