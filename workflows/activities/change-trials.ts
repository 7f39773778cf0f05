/** Single trials of a sweep that runs: run again, or no more. */
import { Context } from '@temporalio/activity';
import { readPlan } from '../../orchestrator/store/plan-store';
import { readResult, removeOutcome } from '../../orchestrator/store/sweep-store';
import { listSearchTrials, listUndecided } from '../../orchestrator/sweep/search';
import type { Plan } from '../../orchestrator/sweep/types';
import { CANCELLED } from '../messages';
import { beatDuring } from './heartbeat';
import { endTrial } from './results';
import type { WorkerSetup } from './worker-setup';

interface TrialsOf {
  sweepId: string;
  planDigest: string;
  trials: string[];
  /** Ids of the cohorts in progress. */
  busy: string[];
}

/**
 * Removes why trials have no result, so that they run again. Returns their cohorts and how many
 * outcomes there were; and the trials whose cohorts are in progress, which ones those are. Trials
 * from whose results a choice was made stay as they are.
 */
export function forgetOutcomes(
  { root }: WorkerSetup,
  { sweepId, planDigest, trials, busy }: TrialsOf,
): Promise<{
  cohorts: string[];
  failed: number;
  cancelled: number;
  left: string[];
  after: string[];
}> {
  return beatDuring(async () => {
    const plan = await readPlan(root, sweepId, planDigest);
    const undecided = new Set(listUndecided(plan));
    const decided = new Set(listSearchTrials(plan).filter((id) => !undecided.has(id)));
    const again = new Set<string>();
    const [left, after] = [new Set<string>(), new Set<string>()];
    const count = { failed: 0, cancelled: 0 };
    for (const id of trials.filter((trial) => !decided.has(trial))) {
      const cohorts = listCohortsOf(plan, id);
      const inProgress = cohorts.filter((cohort) => busy.includes(cohort));
      if (inProgress.length > 0) {
        left.add(id);
        for (const cohort of inProgress) after.add(cohort);
        continue;
      }
      const result = await readResult(root, sweepId, id);
      if (result?.status === 'failed' || result?.status === 'cancelled') {
        count[result.status]++;
        await removeOutcome(root, sweepId, id);
      } else if (result !== null) continue;
      for (const cohort of cohorts) again.add(cohort);
    }
    return { cohorts: [...again], ...count, left: [...left], after: [...after] };
  });
}

/**
 * Gives trials without a result one that says that they were cancelled, unless their cohort is in
 * progress, which is to be told. Returns how many there are, the others by cohort, and those of
 * both whose search can make no choice without them.
 */
export function endTrials(
  { root }: WorkerSetup,
  { sweepId, planDigest, trials, busy }: TrialsOf,
): Promise<{ cancelled: number; inCohorts: Record<string, string[]>; missing: string[] }> {
  return beatDuring(async () => {
    const plan = await readPlan(root, sweepId, planDigest);
    const undecided = new Set(listUndecided(plan));
    const inCohorts: Record<string, string[]> = {};
    const missing: string[] = [];
    let cancelled = 0;
    // An earlier attempt may have ended some.
    const isAgain = Context.current().info.attempt > 1;
    for (const id of trials) {
      const known = await readResult(root, sweepId, id);
      if (known !== null && known.status !== 'cancelled') continue;
      if (undecided.has(id)) missing.push(id);
      if (known !== null && !isAgain) continue;
      const cohort = listCohortsOf(plan, id).find((each) => busy.includes(each));
      if (cohort !== undefined) (inCohorts[cohort] ??= []).push(id);
      else {
        await endTrial(root, plan, id, CANCELLED);
        cancelled++;
      }
    }
    return { cancelled, inCohorts, missing };
  });
}

const listCohortsOf = ({ cohorts }: Plan, trial: string): string[] =>
  cohorts.filter(({ trials }) => trials.includes(trial)).map(({ id }) => id);
