/** Adds trials to a planned sweep. Pure. */
import { formCohorts } from './cohorts';
import { evaluationsOf } from './evaluations';
import { dropRepeated } from './identity';
import { formRungCohorts } from './rungs';
import { limitTime, listChosenTrials, listSearchTrials } from './search';
import type { Candidate, Plan, PlannedChoice } from './types';

/**
 * The plan with all that another one has besides, in cohorts of their own behind the others. What
 * is chosen stays so, and is compared on further seeds; a new choice is still to be made.
 *
 * @param before may have made choices
 * @param known the same without choices and in any order, planned anew
 * @param next known with an extension
 * @returns null if the plan lacks a trial that it should have
 */
export function extendPlan(before: Plan, known: Plan, next: Plan, maxCohort: number): Plan | null {
  const has = new Set(before.trials.map(({ id }) => id));
  if (!known.trials.every(({ id }) => has.has(id))) return null;
  const choices = extendChoices(before.search?.choices ?? [], next.search?.choices ?? []);
  if (choices === null) return null;
  const search = next.search && { ...next.search, ...before.search, choices };
  const trials = dropRepeated([...before.trials, ...next.trials, ...listChosenTrials(choices)]);
  const added = trials.slice(before.trials.length);
  const tried = new Set(listSearchTrials({ search }));
  const cohorts = formRungCohorts(
    added.filter(({ id }) => tried.has(id)),
    search?.stop_early?.rungs[0] ?? null,
    maxCohort,
    before.cohorts.length,
  );
  const others = added.filter(({ id }) => !tried.has(id));
  const first = before.cohorts.length + cohorts.length;
  cohorts.push(...formCohorts(others, maxCohort, first, maxCohort, evaluationsOf(before)));
  return {
    ...before,
    trials,
    cohorts: [...before.cohorts, ...cohorts.map((cohort) => limitTime(cohort, before, trials))],
    ...(search && { search }),
  };
}

/** null if one of them is not among those of the next plan. */
function extendChoices(
  before: readonly PlannedChoice[],
  next: readonly PlannedChoice[],
): PlannedChoice[] | null {
  const byTrials = new Map(next.map((choice) => [nameChoice(choice), choice]));
  const choices: PlannedChoice[] = [];
  for (const choice of before) {
    const extended = byTrials.get(nameChoice(choice));
    if (extended === undefined) return null;
    byTrials.delete(nameChoice(choice));
    choices.push({ ...choice, candidates: extended.candidates });
  }
  return [...choices, ...byTrials.values()];
}

/** What it is made from: the trials of its search. */
export const nameChoice = ({ candidates }: { candidates: readonly Candidate[] }): string =>
  candidates.flatMap(({ trials }) => trials).join(' ');
