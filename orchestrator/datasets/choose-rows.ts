import { seededRandom } from '../base/seeded-random';

/** Changed when the same request would choose other rows; it is part of a data set's digest. */
export const ROW_CHOICE_VERSION = 1;
const ROW_CHOICE_SEED = 20221207;

/**
 * Which rows of a split are used: indices in ascending order, `limit` of them at most. The choice
 * is the beginning of one fixed permutation: it is the same for every seed, and a smaller choice is
 * part of a larger one.
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
