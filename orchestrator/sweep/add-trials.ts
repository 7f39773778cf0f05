/** Puts trials behind those of a plan. Pure. */
import { formCohorts } from './cohorts';
import { dropRepeated } from './identity';
import type { Cohort, Plan, Trial } from './types';

/** The plan with those of the trials that it lacks, in cohorts of their own. */
export function addTrials(plan: Plan, trials: readonly Trial[], maxCohort: number): Plan {
  const added = dropRepeated([...plan.trials, ...trials]).slice(plan.trials.length);
  const cohorts = formCohorts(added, maxCohort, plan.cohorts.length);
  return {
    ...plan,
    trials: [...plan.trials, ...added],
    cohorts: [...plan.cohorts, ...cohorts.map((cohort) => limitTime(cohort, plan, added))],
  };
}

/** A task's trials may take as long as those that it has. */
function limitTime(cohort: Cohort, { cohorts, trials }: Plan, added: readonly Trial[]): Cohort {
  const { task } = added.find(({ id }) => id === cohort.trials[0])!;
  const ofTask = new Set(trials.filter((trial) => trial.task === task).map(({ id }) => id));
  const { max_minutes } = cohorts.find(({ trials: [first] }) => ofTask.has(first!))!;
  return max_minutes === undefined ? cohort : { ...cohort, max_minutes };
}
