/** A row of a task: a text or a pair of texts, and its label. */
export interface Row {
  text: string;
  /** The second text of a pair. */
  pair: string | null;
  /** A class index, or a number for regression. null where the source gives no label. */
  label: number | null;
}

/**
 * A small seeded generator (mulberry32): uniform numbers in [0, 1), equal on every machine. For
 * choosing and making rows; nothing that training computes is drawn from it.
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

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
