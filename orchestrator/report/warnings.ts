import { dataWarnings } from '../sweep/data-warnings';
import type { Plan, TrialResult } from '../sweep/types';

/** A warning with the ids of the trials that have it. */
export interface Warning {
  warning: string;
  trials: string[];
}

/** Warnings of data, each with all trials on those. */
export function collectDataWarnings({ datasets, trials }: Plan): Warning[] {
  return datasets.flatMap((dataset) => {
    const ids = trials.filter((trial) => trial.dataset === dataset.digest).map(({ id }) => id);
    return dataWarnings(dataset).map((warning) => ({ warning, trials: ids.toSorted() }));
  });
}

/** Warnings of results, sorted. */
export function collectTrialWarnings(
  { trials }: Plan,
  results: ReadonlyMap<string, TrialResult>,
): Warning[] {
  const byWarning = new Map<string, string[]>();
  for (const { id } of trials) {
    for (const warning of results.get(id)?.warnings ?? []) {
      byWarning.set(warning, [...(byWarning.get(warning) ?? []), id]);
    }
  }
  return [...byWarning]
    .map(([warning, ids]) => ({ warning, trials: ids.sort() }))
    .sort((a, b) => (a.warning < b.warning ? -1 : 1));
}
