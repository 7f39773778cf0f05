/** Decides what a search has found: which candidates go on, and which are compared. Pure. */
import { groupBy } from '../base/group-by';
import { formCohorts } from './cohorts';
import { evaluationsOf } from './evaluations';
import { dropRepeated } from './identity';
import { findDataset, findTrial } from './lookup';
import { countKept, findNextRung, formRungCohorts, listActive, listActiveTrials } from './rungs';
import type {
  Candidate,
  Cohort,
  Plan,
  PlannedChoice,
  PlannedSearch,
  Trial,
  TrialResult,
} from './types';

/** What a candidate came to on the held-out rows. */
export interface Tried {
  candidate: Candidate;
  /** The deciding metric of each of its trials that are done or were stopped, by seed. */
  values: Map<number, number>;
  /** Ids of its trials that were stopped early. */
  stopped: string[];
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
export const listSearchTrials = ({ search }: Pick<Plan, 'search'>): string[] =>
  search?.choices.flatMap(({ candidates }) => candidates.flatMap(({ trials }) => trials)) ?? [];

/** Those of them that choices are still to be made from. */
export const listUndecided = (plan: Pick<Plan, 'search'>): string[] =>
  listOpenChoices(plan).flatMap(listActiveTrials);

/** The trials that are compared, of choices that are made. */
export const listChosenTrials = (choices: readonly PlannedChoice[]): Trial[] =>
  choices.flatMap(({ candidates, chosen }) => candidates[chosen ?? -1]?.confirm ?? []);

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
  return candidates.map((candidate) => {
    const tried: Tried = { candidate, values: new Map(), stopped: [], failed: [], missing: [] };
    for (const id of candidate.trials) {
      const result = results.get(id);
      if (result === undefined || result.status === 'cancelled') tried.missing.push(id);
      else if (result.status === 'failed') tried.failed.push(id);
      else tried.values.set(findTrial(plan, id).seed, readDeciding(plan, result));
      if (result?.status === 'stopped') tried.stopped.push(id);
    }
    return tried;
  });
}

/** The deciding metric of a trial that has metrics. */
const readDeciding = (plan: Plan, { trial_id: id, metrics }: TrialResult): number =>
  metrics[findDataset(plan, findTrial(plan, id).dataset).metrics[0]!]!;

/**
 * The plan that follows once all trials of a search have come as far as they were to: to their end
 * or, if the search stops early, to the next rung. The order in which they did does not matter.
 *
 * At a rung, a fraction of each choice's candidates goes on: those with the highest mean of the
 * deciding metric over the search's seeds. All that equal the last of them go on, too: early in
 * training, many have learned nothing yet. One with a trial that failed is passed over: it may do
 * so again. One that was trained to its end before, by another sweep, has nothing to compare at a
 * rung, and goes on. A choice is made once one candidate is left or, at their end, by the same rule
 * and of equal ones the first. What follows comes behind the others, in cohorts of its own: first
 * the candidates that go on, then the trials that are compared.
 *
 * @param atRung measurements at the rung that is next, by trial id
 * @returns null if a trial is not there yet, or was cancelled; the plan itself if all is decided
 */
export function decideSearch(
  plan: Plan,
  results: readonly TrialResult[],
  atRung: ReadonlyMap<string, TrialResult> = new Map(),
): Plan | null {
  const { search } = plan;
  if (search === undefined || !isSearching(plan)) return plan;
  const byId = new Map(results.map((result) => [result.trial_id, result]));
  const choices: PlannedChoice[] = [];
  for (const choice of search.choices) {
    const isOpen = choice.chosen === undefined;
    const next = isOpen ? decideChoice(plan, choice, byId, atRung) : choice;
    if (next === null) return null;
    choices.push(next);
  }
  return addWhatFollows(plan, { ...search, choices });
}

function decideChoice(
  plan: Plan,
  choice: PlannedChoice,
  results: ReadonlyMap<string, TrialResult>,
  atRung: ReadonlyMap<string, TrialResult>,
): PlannedChoice | null {
  const { stop_early: stopEarly } = plan.search!;
  const { candidates, went_on: decided = [] } = choice;
  const active = listActive(choice);
  const atEnd = listTried(plan, choice, results);
  const isThere = (id: string) => ['done', 'failed'].includes(results.get(id)?.status ?? '');
  const areAtEnd = active.every((index) => candidates[index]!.trials.every(isThere));
  if (stopEarly === undefined || findNextRung(stopEarly, choice) === null)
    return areAtEnd ? { ...choice, chosen: chooseBest(atEnd, active) } : null;

  const known = new Map([...results, ...atRung]);
  const tried = listTried(plan, choice, known);
  const isAtRung = (id: string) => atRung.has(id) || isThere(id);
  if (!active.every((index) => candidates[index]!.trials.every(isAtRung))) return null;
  const isFinished = (index: number) => candidates[index]!.trials.some((id) => !atRung.has(id));
  const sound = active.filter((index) => tried[index]!.failed.length === 0);
  const finished = sound.filter(isFinished);
  const isAtEnd = (index: number) => candidates[index]!.trials.every(isThere);
  if (sound.length > 0 && finished.length === sound.length && sound.every(isAtEnd))
    return { ...choice, went_on: [...decided, sound], chosen: chooseBest(atEnd, sound) };
  const left = Math.max(countKept(stopEarly, active.length) - finished.length, 0);
  const compared = sound.filter((index) => !isFinished(index));
  const means = new Map(compared.map((index) => [index, averageValues(tried[index]!)]));
  const ranked = [...means.values()].sort((a, b) => b - a);
  // If more have failed than are to be stopped, all others go on.
  const least = ranked[Math.min(left, ranked.length) - 1] ?? Infinity;
  const kept = sound.filter((index) => isFinished(index) || means.get(index)! >= least);
  const isMade = kept.length <= 1;
  return {
    ...choice,
    went_on: [...decided, kept],
    ...(isMade ? { chosen: kept[0] ?? null } : {}),
  };
}

/** The plan with the choices as far as they are made, and the cohorts that are to run next. */
function addWhatFollows(plan: Plan, search: PlannedSearch): Plan {
  const { max_cohort: maxCohort, stop_early: stopEarly } = search;
  const open = listOpenChoices({ search });
  const compared = listChosenTrials(search.choices);
  const added = dropRepeated([...plan.trials, ...compared]).slice(plan.trials.length);
  const searched: Cohort[] = [];
  // Choices that were added later are behind.
  for (const [fraction, same] of groupBy(open, (each) => findNextRung(stopEarly, each))) {
    const goOn = new Set(same.flatMap(listActiveTrials));
    const some = plan.trials.filter(({ id }) => goOn.has(id));
    const before = plan.cohorts.length + searched.length;
    searched.push(...formRungCohorts(some, fraction, maxCohort, before));
  }
  const before = plan.cohorts.length + searched.length;
  const trials = [...plan.trials, ...added];
  const confirming = formCohorts(added, maxCohort, before, maxCohort, evaluationsOf(plan));
  const cohorts = [...searched, ...confirming];
  return {
    ...plan,
    trials,
    cohorts: [...plan.cohorts, ...cohorts.map((cohort) => limitTime(cohort, plan, trials))],
    search,
  };
}

/** Index of the best of these candidates; null if each has a trial that failed. */
function chooseBest(tried: readonly Tried[], active: readonly number[]): number | null {
  let best: { index: number; mean: number } | null = null;
  for (const index of active) {
    if (tried[index]!.failed.length > 0) continue;
    const mean = averageValues(tried[index]!);
    if (best === null || mean > best.mean) best = { index, mean };
  }
  return best === null ? null : best.index;
}

const averageValues = ({ values }: Tried): number =>
  [...values.values()].reduce((sum, value) => sum + value, 0) / values.size;

/** A task's trials may take as long in the comparison as in the search. */
export function limitTime(cohort: Cohort, { cohorts }: Plan, trials: readonly Trial[]): Cohort {
  const taskOf = new Map(trials.map(({ id, task }) => [id, task]));
  const task = taskOf.get(cohort.trials[0]!);
  const { max_minutes } = cohorts.find(({ trials: [first] }) => taskOf.get(first!) === task)!;
  return max_minutes === undefined ? cohort : { ...cohort, max_minutes };
}
