/**
 * The pruners of this trainer, which are those that its capabilities list. What each uses and its
 * paper stand in common/vocabulary/pruners.ts.
 */
import { PRUNERS, type PrunerName } from '../../../common/vocabulary/pruners';
import { findWord, listWords } from '../../../common/vocabulary/vocabulary';
import type { Pruner } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { gradient } from './gradient';
import { mag } from './mag';
import { rand } from './rand';
import type { Scorer } from './scorer';
import { snip } from './snip';
import { synflow } from './synflow';

/** None keeps all, and has nothing to score; er's ranks within a matrix are as random as rand's. */
const SCORERS: Partial<Record<PrunerName, Scorer>> = {
  rand,
  mag,
  snip,
  er: rand,
  synflow,
  gradient,
};

/** The contract's values for them, and NONE, which every trainer has. */
export const PRUNERS_HERE: readonly Pruner[] = listWords(PRUNERS)
  .filter((name) => name === 'none' || SCORERS[name] !== undefined)
  .map((name) => PRUNERS[name].proto);

/** @throws RangeError for a pruner that is not listed: no such job gets here */
export function findScorer(pruner: Pruner): Scorer {
  const scorer = SCORERS[findWord(PRUNERS, pruner) ?? 'none'];
  if (scorer === undefined) throw new RangeError(`pruner ${pruner} has no scores here`);
  return scorer;
}
