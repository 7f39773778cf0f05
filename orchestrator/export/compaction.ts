/** Removes the units that are gone from all modules of a trial, and counts what that saves. */
import type { Compacted } from './export-format';
import { countBytes, listPairs, removeGoneUnits, takePairs, unitsOf, type Pair } from './units';
import type { TrainedTrial } from './trained-trial';

/** @param isWanted which pairs the caller writes */
export function compact(
  { weights }: Pick<TrainedTrial, 'weights'>,
  isWanted: (pair: Pair) => boolean,
): Pair[] {
  return takePairs(weights, isWanted).map(removeGoneUnits);
}

/** @param written the pairs as they are written; padded ones count as that large */
export function countSaved(
  { weights }: Pick<TrainedTrial, 'weights'>,
  written: readonly Pair[],
): Compacted | null {
  const all = listPairs(weights);
  const count = (pairs: readonly Pair[]) => pairs.reduce((sum, pair) => sum + unitsOf(pair), 0);
  const size = (pairs: readonly Pair[]) => pairs.reduce((sum, pair) => sum + countBytes(pair), 0);
  const [units, kept] = [count(all), count(written)];
  if (kept >= units) return null;
  return { units, kept, bytes: size(all), kept_bytes: size(written) };
}
