/** Evaluations of a cohort's trials in the middle of their training. */
import { mapBounded } from '../../orchestrator/base/bounded';
import { readPlan } from '../../orchestrator/store/plan-store';
import { readRungResult, writeRungResult } from '../../orchestrator/store/rung-results';
import { findCohort, findTrial } from '../../orchestrator/sweep/lookup';
import { isTrained } from '../../orchestrator/trainer-client/job-files';
import { buildResult } from './results';
import type { WorkerSetup } from './worker-setup';

interface TrialsOf {
  sweepId: string;
  planDigest: string;
  cohortId: string;
  trials: string[];
}

/**
 * The steps at which some of these trials are still to be evaluated, growing. One that is trained
 * to its end is not trained again for it.
 */
export async function listEvaluations(
  { root }: WorkerSetup,
  { sweepId, planDigest, cohortId, trials }: TrialsOf,
): Promise<{ step: number; trials: string[] }[]> {
  const plan = await readPlan(root, sweepId, planDigest);
  const { evaluate_at: steps = [] } = findCohort(plan, cohortId);
  const untrained = trials.filter(
    (id) => !isTrained(root, { id, total_steps: findTrial(plan, id).train.total_steps }),
  );
  const all = await mapBounded(steps, async (step) => {
    const known = await mapBounded(untrained, (id) => readRungResult(root, id, step));
    return { step, trials: untrained.filter((_, i) => known[i] === null) };
  });
  return all.filter(({ trials: left }) => left.length > 0);
}

/**
 * Writes what trials came to at a step of their training; what is written stays, so that an attempt
 * continues where the previous one timed out. One that cannot be evaluated there goes on all the
 * same.
 */
export async function evaluateOnTheWay(
  { root }: WorkerSetup,
  { sweepId, planDigest, trials, step }: TrialsOf & { step: number },
): Promise<void> {
  const plan = await readPlan(root, sweepId, planDigest);
  await mapBounded(trials, async (id) => {
    if ((await readRungResult(root, id, step)) !== null) return;
    const { result, failure } = await buildResult(root, plan, findTrial(plan, id), undefined, step);
    const { stopped_at } = result;
    if (stopped_at && failure === undefined) await writeRungResult(root, { ...result, stopped_at });
  });
}
