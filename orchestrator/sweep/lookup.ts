/**
 * Finds the parts of a plan by name. Plans are complete, so an unknown name is the caller's error.
 * Pure.
 */
import type { Cohort, Plan, PlannedDataset, Trial } from './types';

export function findDataset(plan: Plan, digest: string): PlannedDataset {
  return present(
    plan.datasets.find((dataset) => dataset.digest === digest),
    plan,
    `data set ${digest}`,
  );
}

/** Those that are compared on: one for each task, without the held-out ones of a search. */
export function listTaskDatasets<Dataset extends Pick<PlannedDataset, 'held_out'>>(
  datasets: readonly Dataset[],
): Dataset[] {
  return datasets.filter(({ held_out }) => held_out === undefined);
}

/** The held-out ones of a search. */
export function listHeldOut<Dataset extends Pick<PlannedDataset, 'held_out'>>(
  datasets: readonly Dataset[],
): Dataset[] {
  return datasets.filter(({ held_out }) => held_out !== undefined);
}

/** Digests of those: trials on them are a search's. */
export const heldOutDigests = ({ datasets }: Pick<Plan, 'datasets'>): Set<string> =>
  new Set(listHeldOut(datasets).map(({ digest }) => digest));

export function findCohort(plan: Plan, id: string): Cohort {
  return present(
    plan.cohorts.find((cohort) => cohort.id === id),
    plan,
    `cohort ${id}`,
  );
}

/** By id. A plan never changes, and one of thousands is asked for each of its trials. */
const trialsById = new WeakMap<Plan, ReadonlyMap<string, Trial>>();

export function findTrial(plan: Plan, id: string): Trial {
  const trials = trialsById.get(plan) ?? new Map(plan.trials.map((trial) => [trial.id, trial]));
  trialsById.set(plan, trials);
  return present(trials.get(id), plan, `trial ${id}`);
}

function present<T>(part: T | undefined, plan: Plan, what: string): T {
  if (part === undefined) throw new Error(`the plan of ${plan.sweep_id} has no ${what}`);
  return part;
}
