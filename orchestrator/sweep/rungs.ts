/** The rungs of a search that stops early: which trials train until where. Pure. */
import { groupBy } from '../base/group-by';
import { formCohorts } from './cohorts';
import type { Cohort, PlannedChoice, PlannedSearch, StopEarly, Trial } from './types';

/**
 * The step at which a trial is measured: the fraction of its training, rounded up, but before its
 * last step. 0: it has one step, and so no rung.
 */
export const findRungStep = (
  { train }: { train: Pick<Trial['train'], 'total_steps'> },
  fraction: number,
): number => Math.min(Math.ceil(fraction * train.total_steps), train.total_steps - 1);

/** Indices of the candidates that are still trained, or were when the choice was made. */
export const listActive = ({ candidates, went_on: rungs }: PlannedChoice): number[] =>
  rungs?.at(-1) ?? candidates.map((_, index) => index);

/** Ids of their trials. */
export const listActiveTrials = (choice: PlannedChoice): string[] =>
  listActive(choice).flatMap((index) => choice.candidates[index]!.trials);

/** The fraction at which a choice's candidates are compared next; null: at their end. */
export const findNextRung = (
  stopEarly: StopEarly | undefined,
  { went_on: decided = [] }: PlannedChoice,
): number | null => stopEarly?.rungs[decided.length] ?? null;

/** Ids of the trials that a decision has go on, by the fraction until which; null: their end. */
export function listGoingOn(
  stopEarly: StopEarly | undefined,
  before: PlannedChoice,
  after: PlannedChoice,
): { fraction: number | null; trials: string[] } {
  const { candidates, went_on: decided = [], ahead = [] } = after;
  const isAtRung = decided.length === (before.went_on ?? []).length;
  const [rung, goOn] = isAtRung ? [decided.length + 1, ahead] : [decided.length, listActive(after)];
  const were = new Set(before.ahead);
  return {
    fraction: stopEarly?.rungs[rung] ?? null,
    trials: goOn.flatMap((index) => (were.has(index) ? [] : candidates[index]!.trials)),
  };
}

/** How many of so many candidates go on after a rung. */
export const countKept = ({ keep }: StopEarly, candidates: number): number =>
  // Without the rounding, 0.1 × 30 would be 3.0000000000000004, and four go on.
  Math.ceil(Number((keep * candidates).toPrecision(12)));

/**
 * Cohorts of trials that are trained until the same step.
 *
 * @param fraction of their training; null: to their end
 */
export function formRungCohorts(
  trials: readonly Trial[],
  fraction: number | null,
  maxCohort: number,
  before: number,
): Cohort[] {
  if (fraction === null) return formCohorts(trials, maxCohort, before);
  const cohorts: Cohort[] = [];
  for (const [until_step, same] of groupBy(trials, (trial) => findRungStep(trial, fraction)))
    for (const cohort of formCohorts(same, maxCohort, before + cohorts.length))
      cohorts.push({ ...cohort, until_step });
  return cohorts;
}

/**
 * The fraction of its training at which each stopped trial was stopped, by id. One that another
 * choice still trains is not stopped.
 */
export function listStopped({
  stop_early: stopEarly,
  choices,
}: Pick<PlannedSearch, 'stop_early' | 'choices'>): Map<string, number> {
  const stopped = new Map<string, number>();
  const goOn = new Set<string>();
  for (const { candidates, went_on: decided = [] } of choices) {
    // A choice that is made at a rung needs no candidate's end.
    const isMade = (decided.at(-1)?.length ?? Infinity) <= 1;
    for (const [index, { trials }] of candidates.entries()) {
      const last = decided.findIndex((kept) => !kept.includes(index));
      const rung = last === -1 && isMade ? decided.length - 1 : last;
      for (const id of trials)
        if (rung === -1) goOn.add(id);
        else stopped.set(id, Math.max(stopped.get(id) ?? 0, stopEarly!.rungs[rung]!));
    }
  }
  for (const id of goOn) stopped.delete(id);
  return stopped;
}

/**
 * The part of a trial's training in a search that is expected to take place, in (0, 1]: what is
 * left after each rung of a choice between this many candidates.
 */
export function expectTrained(
  stopEarly: StopEarly,
  candidates: number,
  trial: Pick<Trial, 'train'>,
): number {
  let [sum, left, at] = [0, candidates, 0];
  for (const rung of stopEarly.rungs) {
    const reached = findRungStep(trial, rung) / trial.train.total_steps;
    sum += (left / candidates) * (reached - at);
    [left, at] = [countKept(stopEarly, left), reached];
    if (left === 1) return sum;
  }
  return sum + (left / candidates) * (1 - at);
}
