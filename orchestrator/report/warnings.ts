import { groupBy } from '../base/group-by';
import type { Plan, TrialResult } from '../sweep/types';

/** A warning with the ids of the trials that have it. */
export interface Warning {
  warning: string;
  trials: string[];
}

/** Warnings of results, sorted. Those of data are notes of their task's table. */
export function collectTrialWarnings(
  { trials }: Plan,
  results: ReadonlyMap<string, TrialResult>,
): Warning[] {
  const all = trials.flatMap(({ id }) =>
    (results.get(id)?.warnings ?? []).map((warning) => ({ warning, id })),
  );
  return [...groupBy(all, ({ warning }) => warning)]
    .map(([warning, same]) => ({ warning, trials: same.map(({ id }) => id).sort() }))
    .sort((a, b) => (a.warning < b.warning ? -1 : 1));
}
