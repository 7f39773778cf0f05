/**
 * This trainer's pruners, which its capabilities list. common/vocabulary/pruners.ts says what each
 * uses, and its paper.
 */
import { PRUNERS, type PrunerName } from '../../../common/vocabulary/pruners';
import { findWord, listWords } from '../../../common/vocabulary/vocabulary';
import type { Pruner } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { fisher } from './fisher';
import { gradient } from './gradient';
import { mag } from './mag';
import { rand } from './rand';
import type { Scorer } from './scorer';
import { skeleton } from './skeleton';
import { snip } from './snip';
import { synflow } from './synflow';

/** none keeps all, so it has no scores; er ranks at random within a matrix, like rand. */
const SCORERS: Partial<Record<PrunerName, Scorer>> = {
  rand,
  mag,
  snip,
  er: rand,
  synflow,
  gradient,
  fisher,
  skeleton,
};

/** The contract's values for these, and NONE, which every trainer has. */
export const PRUNERS_HERE: readonly Pruner[] = listWords(PRUNERS)
  .filter((name) => name === 'none' || SCORERS[name] !== undefined)
  .map((name) => PRUNERS[name].proto);

/** @throws RangeError for an unlisted pruner, whose jobs are refused earlier */
export function findScorer(pruner: Pruner): Scorer {
  const scorer = SCORERS[findWord(PRUNERS, pruner) ?? 'none'];
  if (scorer === undefined) throw new RangeError(`pruner ${pruner} has no scores here`);
  return scorer;
}
