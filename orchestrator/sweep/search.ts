/** Decides what a search has found: which candidates go on, and which are compared. Pure. */
import { groupBy } from '../base/group-by';
import { formCohorts } from './cohorts';
import { evaluationsOf } from './evaluations';
import { dropRepeated } from './identity';
import { findDataset, findTrial } from './lookup';
import {
  countKept,
  findNextRung,
  findRungStep,
  formRungCohorts,
  listActive,
  listActiveTrials,
  listGoingOn,
} from './rungs';
import type {
  Candidate,
  Cohort,
  Plan,
  PlannedChoice,
  PlannedSearch,
  StopEarly,
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

/** Whether some of its choices may be made, or prepared, while other trials of its search run. */
export const decidesEarly = (plan: Plan): boolean =>
  isSearching(plan) && plan.search?.stop_early?.asynchronous === true;

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
 * A search that is asynchronous makes each choice by itself, and a candidate goes on as soon as it
 * would whatever those come to that are yet to be measured. So it chooses alike, with less waiting.
 *
 * @param atRung measurements at the rung that is next, by trial id
 * @returns null if nothing follows, because a trial is not there yet, or was cancelled; the plan
 *   itself if all is decided
 */
export function decideSearch(
  plan: Plan,
  results: readonly TrialResult[],
  atRung: ReadonlyMap<string, TrialResult> = new Map(),
): Plan | null {
  const { search } = plan;
  if (search === undefined || !isSearching(plan)) return plan;
  const byId = new Map(results.map((result) => [result.trial_id, result]));
  const open = listOpenChoices(plan);
  const decided = new Map(
    open.flatMap((choice) => {
      const next = decideChoice(plan, choice, byId, atRung);
      return next === null ? [] : [[choice, next] as const];
    }),
  );
  const isEnough = search.stop_early?.asynchronous
    ? decided.size > 0
    : decided.size === open.length;
  return isEnough ? addWhatFollows(plan, search, decided) : null;
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
  const areAtRung = active.every((index) => candidates[index]!.trials.every(isAtRung));
  if (!areAtRung) return stopEarly.asynchronous ? goAhead(choice, stopEarly, tried, atRung) : null;
  const rest = { ...choice };
  delete rest.ahead;
  const isFinished = (index: number) => candidates[index]!.trials.some((id) => !atRung.has(id));
  const sound = active.filter((index) => tried[index]!.failed.length === 0);
  const finished = sound.filter(isFinished);
  const isAtEnd = (index: number) => candidates[index]!.trials.every(isThere);
  if (sound.length > 0 && finished.length === sound.length && sound.every(isAtEnd))
    return { ...rest, went_on: [...decided, sound], chosen: chooseBest(atEnd, sound) };
  const left = Math.max(countKept(stopEarly, active.length) - finished.length, 0);
  const compared = sound.filter((index) => !isFinished(index));
  const means = new Map(compared.map((index) => [index, averageValues(tried[index]!)]));
  const ranked = [...means.values()].sort((a, b) => b - a);
  // If more have failed than are to be stopped, all others go on.
  const least = ranked[Math.min(left, ranked.length) - 1] ?? Infinity;
  const kept = sound.filter((index) => isFinished(index) || means.get(index)! >= least);
  const isMade = kept.length <= 1;
  return {
    ...rest,
    went_on: [...decided, kept],
    ...(isMade ? { chosen: kept[0] ?? null } : {}),
  };
}

/**
 * Candidates go on that are among the kept even if all others that are yet to be measured turn out
 * to be better. One that failed may be tried again, and is among these. null if there is no more.
 *
 * Only one that is measured may be all that is left, if others fail: then it is chosen at once.
 */
function goAhead(
  choice: PlannedChoice,
  stopEarly: StopEarly,
  tried: readonly Tried[],
  atRung: ReadonlyMap<string, TrialResult>,
): PlannedChoice | null {
  const active = listActive(choice);
  const isMeasured = (index: number) =>
    choice.candidates[index]!.trials.every((id) => atRung.has(id));
  const means = new Map(
    active.filter(isMeasured).map((index) => [index, averageValues(tried[index]!)]),
  );
  if (means.size < 2) return null;
  const places = countKept(stopEarly, active.length) - (active.length - means.size);
  const before = choice.ahead ?? [];
  const ahead = active.filter((index) => {
    const mean = means.get(index);
    if (mean === undefined || before.includes(index)) return before.includes(index);
    return [...means.values()].filter((other) => other > mean).length < places;
  });
  return ahead.length > before.length ? { ...choice, ahead } : null;
}

/**
 * The plan with the choices as far as they are made, and the cohorts that are to run next.
 *
 * @param decided the choices that have changed, by what they were
 */
function addWhatFollows(
  plan: Plan,
  { choices, ...same }: PlannedSearch,
  decided: ReadonlyMap<PlannedChoice, PlannedChoice>,
): Plan {
  const search = { ...same, choices: choices.map((choice) => decided.get(choice) ?? choice) };
  const { max_cohort: maxCohort, stop_early: stopEarly } = search;
  const goingOn = [...decided].flatMap(([before, after]) =>
    after.chosen === undefined ? [listGoingOn(stopEarly, before, after)] : [],
  );
  const isUnderWay = stopEarly?.asynchronous ? findUnderWay(plan) : () => false;
  const compared = listChosenTrials(search.choices);
  const added = dropRepeated([...plan.trials, ...compared]).slice(plan.trials.length);
  const searched: Cohort[] = [];
  // Choices that were added later are behind.
  for (const [fraction, alike] of groupBy(goingOn, (each) => each.fraction)) {
    const goOn = new Set(alike.flatMap(({ trials }) => trials));
    const some = plan.trials.filter((trial) => goOn.has(trial.id) && !isUnderWay(trial, fraction));
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

/** Whether a cohort takes a trial as far already: another choice may have had it go on before. */
function findUnderWay({ cohorts }: Plan): (trial: Trial, fraction: number | null) => boolean {
  const until = new Map<string, number>();
  for (const { trials, until_step: step = Infinity } of cohorts)
    for (const id of trials) until.set(id, Math.max(until.get(id) ?? 0, step));
  return (trial, fraction) =>
    until.get(trial.id)! >= (fraction === null ? Infinity : findRungStep(trial, fraction));
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
