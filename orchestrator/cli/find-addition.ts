/** Whether one plan only adds to another one, and what the sweep is extended by then. */
import { listWrittenLines } from '../config/asked';
import { planExtension } from '../config/extended-plan';
import { ConfigError } from '../base/errors';
import { hasAsked, readAsked } from '../store/asked';
import { canonicalJson } from '../sweep/canonical';
import { heldOutDigests } from '../sweep/lookup';
import type { Asked, Extension, Plan, Trial } from '../sweep/types';
import { COHORT_SIZE } from './request';

/**
 * Seeds and lines of compare that make one plan of the other; null if it does not only add those,
 * or an earlier version started the last sweep.
 *
 * @param asked what `plan` was made from
 */
export async function findAddition(
  root: string,
  last: Plan,
  plan: Plan,
  asked: Asked,
): Promise<Extension | null> {
  if (!hasAsked(root, last.sweep_id)) return null;
  const before = await readAsked(root, last.sweep_id);
  const known = new Set(listSeeds(last));
  const seeds = listSeeds(plan).filter((seed) => !known.has(seed));
  const lines = new Set(listWrittenLines(before).map(canonicalJson));
  const compare = listWrittenLines(asked).filter((line) => !lines.has(canonicalJson(line)));
  if (seeds.length === 0 && compare.length === 0) return null;
  const extension: Extension = {
    ...(seeds.length > 0 && { seeds }),
    ...(compare.length > 0 && { compare }),
  };
  try {
    const extended = planExtension(last, before, extension, COHORT_SIZE);
    return listIds(extended) === listIds(plan) ? extension : null;
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}

/** All that may run, with what a search may choose. */
const listAll = ({ trials, search }: Plan): Trial[] => [
  ...trials,
  ...(search?.choices ?? []).flatMap(({ candidates }) =>
    candidates.flatMap(({ confirm }) => confirm),
  ),
];

const listIds = (plan: Plan): string =>
  [...new Set(listAll(plan).map(({ id }) => id))].toSorted().join(' ');

/** Of the comparison. */
function listSeeds(plan: Plan): number[] {
  const heldOut = heldOutDigests(plan);
  const compared = listAll(plan).filter(({ dataset }) => !heldOut.has(dataset));
  return [...new Set(compared.map(({ seed }) => seed))];
}
