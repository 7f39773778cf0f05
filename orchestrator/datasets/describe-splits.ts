/** What planning says of the rows of a data set, beyond their number. */
import type { PlannedSplit } from '../sweep/types';
import { chooseRows } from './choose-rows';

/** A split as planned, with all rows of its source. */
export interface ReadSplit<Row> {
  planned: PlannedSplit;
  rows: readonly Row[];
}

/** Stands between the texts of a row where rows are compared. */
const BETWEEN = '\0';

/**
 * Adds to each split what its used rows are.
 *
 * @param texts returns the texts that make it the same row in training and validation
 * @param describe returns further facts about the used rows of a split
 */
export function describeSplits<Row>(
  splits: readonly ReadSplit<Row>[],
  texts: (row: Row) => readonly string[],
  describe: (used: readonly Row[]) => Partial<PlannedSplit> = () => ({}),
): PlannedSplit[] {
  const used = splits.map(({ planned, rows }) => ({
    planned,
    rows: chooseRows(rows.length, planned.rows).map((i) => rows[i]!),
  }));
  const train = used.find(({ planned }) => planned.name === 'train')!;
  return used.map(({ planned, rows }) => ({
    ...planned,
    ...describe(rows),
    ...(planned.name === 'train' ? {} : { also_in_train: countInBoth(train.rows, rows, texts) }),
  }));
}

/**
 * How many rows have the same texts as a training row, apart from white space around them. Linear
 * in the length of all texts.
 */
export function countInBoth<Row>(
  train: readonly Row[],
  rows: readonly Row[],
  texts: (row: Row) => readonly string[],
): number {
  // Most training rows are told from all others by their first text alone, without joining texts.
  const firsts = new Set<string>();
  const wanted = new Map<string, number>();
  for (const row of rows) {
    const trimmed = texts(row).map((text) => text.trim());
    const key = trimmed.join(BETWEEN);
    firsts.add(trimmed[0]!);
    wanted.set(key, (wanted.get(key) ?? 0) + 1);
  }
  let found = 0;
  for (const row of train) {
    const [first, ...others] = texts(row);
    const start = first!.trim();
    if (!firsts.has(start)) continue;
    const key = [start, ...others.map((text) => text.trim())].join(BETWEEN);
    found += wanted.get(key) ?? 0;
    wanted.delete(key);
  }
  return found;
}
