/** Rows that a search holds out of the training rows, to choose by them. */
import { ConfigError } from '../base/errors';
import { groupBy } from '../base/group-by';
import { plural } from '../base/plural';
import { seededRandom } from '../base/seeded-random';
import type { PlannedDataset, PlannedSplit } from '../sweep/types';
import { chooseRows } from './choose-rows';
import type { ReadSplit } from './describe-splits';
import { findLimit, type SplitSource } from './splits';

/** Increased when the same request holds out different rows; part of a data set's digest. */
export const HOLD_OUT_VERSION = 1;
const HOLD_OUT_SEED = 20230117;

/**
 * Returns what rows have in common that must not be trained on and measured by at once, such as
 * the context of questions.
 */
export type GroupOf<Row> = (row: Row) => unknown;

/** Where the rows of a split are: held-out ones are among those of the training split. */
export function findSplitSource(
  { held_out }: Pick<PlannedDataset, 'held_out'>,
  split: PlannedSplit,
): PlannedSplit {
  return held_out === undefined ? split : { ...split, name: 'train' };
}

/**
 * The rows of a data set's split, in the order of their source.
 *
 * @param all the rows of the split's source (findSplitSource)
 */
export function chooseSplitRows<Row>(
  all: readonly Row[],
  split: PlannedSplit,
  dataset: Pick<PlannedDataset, 'rows' | 'validation_rows' | 'held_out'>,
  groupOf?: GroupOf<Row>,
): Row[] {
  const source = findSplitSource(dataset, split);
  const used = chooseRows(all.length, findLimit(dataset, source.name)).map((i) => all[i]!);
  if (dataset.held_out === undefined) return used;
  const { kept, heldOut } = holdOut(used, dataset.held_out.fraction, source, groupOf);
  return split.name === 'train' ? kept : heldOut;
}

/** Plans the splits of a search's data set: of the training rows in use, some are held out. */
export function planHeldOut<Row>(
  { planned, rows }: ReadSplit<Row>,
  fraction: number,
  groupOf?: GroupOf<Row>,
): ReadSplit<Row>[] {
  const used = chooseRows(rows.length, planned.rows).map((i) => rows[i]!);
  const { kept, heldOut } = holdOut(used, fraction, planned, groupOf);
  return [
    { planned: { ...planned, rows: kept.length }, rows: kept },
    { planned: { ...planned, name: 'validation', rows: heldOut.length }, rows: heldOut },
  ];
}

/**
 * Holds out that fraction of the rows, or a little more where a group is a whole: the beginning of
 * one fixed permutation, so that a smaller fraction is part of a larger one.
 */
function holdOut<Row>(
  rows: readonly Row[],
  fraction: number,
  { name, file }: SplitSource,
  groupOf: GroupOf<Row> = (row) => row,
): { kept: Row[]; heldOut: Row[] } {
  const groups = [...groupBy(rows, groupOf).values()];
  if (groups.length < 2) {
    const message =
      `has ${plural(rows.length, 'training row')} in use, which cannot be parted into rows to ` +
      'train on and rows that are held out for the search; must be more';
    throw new ConfigError({ where: file ?? `generated rows, ${name}`, message });
  }
  const wanted = Math.max(1, Math.round(fraction * rows.length));
  const heldOut = new Set<Row>();
  for (const group of permute(groups).slice(0, -1)) {
    if (heldOut.size >= wanted) break;
    for (const row of group) heldOut.add(row);
  }
  return {
    kept: rows.filter((row) => !heldOut.has(row)),
    heldOut: rows.filter((row) => heldOut.has(row)),
  };
}

function permute<Item>(items: readonly Item[]): Item[] {
  const random = seededRandom(HOLD_OUT_SEED);
  const permuted = [...items];
  for (let i = 0; i < permuted.length - 1; i++) {
    const j = i + Math.floor(random() * (permuted.length - i));
    [permuted[i], permuted[j]] = [permuted[j]!, permuted[i]!];
  }
  return permuted;
}
