/** Decides what a search has found: which candidates are compared. Pure. */
import { addTrials } from './add-trials';
import { dropRepeated } from './identity';
import { findDataset } from './lookup';
import type { Candidate, Plan, PlannedChoice, Trial, TrialResult } from './types';

/** What a candidate came to on the held-out rows. */
export interface Tried {
  candidate: Candidate;
  /** The deciding metric of each of its trials that are done, by seed. */
  values: Map<number, number>;
  /** Ids of its trials that ended without a metric. */
  failed: string[];
  /** Ids of its trials that have no result yet, or were cancelled, which says nothing of them. */
  missing: string[];
}

/** The choices that are still to be made. */
export const listOpenChoices = ({ search }: Pick<Plan, 'search'>): PlannedChoice[] =>
  search?.choices.filter(({ chosen }) => chosen === undefined) ?? [];

/** Whether its sweep still has a choice to make. */
export const isSearching = (plan: Plan): boolean => listOpenChoices(plan).length > 0;

/** Ids of the trials whose results its choices are made from. */
export const listSearchTrials = ({ search }: Plan): string[] =>
  search?.choices.flatMap(({ candidates }) => candidates.flatMap(({ trials }) => trials)) ?? [];

/** The trials that would be compared if their values were chosen, of choices yet to be made. */
export const listCandidateTrials = (plan: Pick<Plan, 'search'>): Trial[] =>
  listOpenChoices(plan).flatMap(({ candidates }) => candidates.flatMap(({ confirm }) => confirm));

/**
 * How many trials run in all. A choice that is still to be made adds as many whatever it comes to,
 * because each candidate has a trial for each seed.
 */
export function countTrials(plan: Plan): number {
  return plan.trials.length + listFirstCandidates(plan).length;
}

/** The trials that run, as if of each choice that is still to be made the first candidate won. */
export const listExpectedTrials = (plan: Plan): Trial[] =>
  dropRepeated([...plan.trials, ...listFirstCandidates(plan)]);

const listFirstCandidates = (plan: Plan): Trial[] =>
  listOpenChoices(plan).flatMap(({ candidates }) => candidates[0]!.confirm);

/** What each candidate of a choice came to, in their order. */
export function listTried(
  plan: Plan,
  { candidates }: PlannedChoice,
  results: ReadonlyMap<string, TrialResult>,
): Tried[] {
  const trials = new Map(plan.trials.map((trial) => [trial.id, trial]));
  return candidates.map((candidate) => {
    const tried: Tried = { candidate, values: new Map(), failed: [], missing: [] };
    for (const id of candidate.trials) {
      const trial = trials.get(id)!;
      const result = results.get(id);
      if (result === undefined || result.status === 'cancelled') tried.missing.push(id);
      else if (result.status === 'done')
        tried.values.set(trial.seed, result.metrics[decidingMetric(plan, trial)]!);
      else tried.failed.push(id);
    }
    return tried;
  });
}

const decidingMetric = (plan: Plan, { dataset }: Trial): string =>
  findDataset(plan, dataset).metrics[0]!;

/**
 * The plan with every choice made: of each, the candidate with the highest mean of the deciding
 * metric over the search's seeds, of equal ones the first. One with a trial that failed is passed
 * over: it may do so again. The chosen ones' trials come behind the others, in cohorts of their
 * own. The order in which results arrived does not matter.
 *
 * @returns null if a trial of the search has no result yet, or was cancelled
 */
export function decideSearch(plan: Plan, results: readonly TrialResult[]): Plan | null {
  const { search } = plan;
  if (search === undefined || !isSearching(plan)) return plan;
  const byId = new Map(results.map((result) => [result.trial_id, result]));
  const choices: PlannedChoice[] = [];
  for (const choice of search.choices) {
    if (choice.chosen !== undefined) {
      choices.push(choice);
      continue;
    }
    const tried = listTried(plan, choice, byId);
    if (tried.some(({ missing }) => missing.length > 0)) return null;
    choices.push({ ...choice, chosen: chooseBest(tried) });
  }
  const compared = choices.flatMap(
    ({ candidates, chosen }) => candidates[chosen ?? -1]?.confirm ?? [],
  );
  return {
    ...addTrials(plan, compared, search.max_cohort),
    search: { ...search, choices },
  };
}

/** Its index; null if every candidate has a trial that failed. */
function chooseBest(tried: readonly Tried[]): number | null {
  let best: { index: number; mean: number } | null = null;
  for (const [index, { values, failed }] of tried.entries()) {
    if (failed.length > 0) continue;
    const mean = [...values.values()].reduce((sum, value) => sum + value, 0) / values.size;
    if (best === null || mean > best.mean) best = { index, mean };
  }
  return best === null ? null : best.index;
}
