/**
 * What trials of a search came to in the middle of their training, in
 * `trials/<id>/rungs/step<N>.json`. Like a result at its end, it counts for every sweep that has
 * the trial.
 */
import { join } from 'node:path';
import { writeJsonDurably } from '../../common/durable-files';
import { mapBounded } from '../base/bounded';
import { findTrial } from '../sweep/lookup';
import { findNextRung, findRungStep, listActiveTrials, listStopped } from '../sweep/rungs';
import { listOpenChoices } from '../sweep/search';
import type { Cohort, Plan, TrialResult } from '../sweep/types';
import { readJson } from './read-files';
import { readResult, trialDir, writeResult } from './sweep-store';

const rungPath = (root: string, trialId: string, step: number): string =>
  join(trialDir(root, trialId), 'rungs', `step${step}.json`);

export const writeRungResult = (
  root: string,
  result: TrialResult & Required<Pick<TrialResult, 'stopped_at'>>,
): Promise<void> =>
  writeJsonDurably(rungPath(root, result.trial_id, result.stopped_at.step), result);

const readRungResult = (root: string, trialId: string, step: number) =>
  readJson<TrialResult>(rungPath(root, trialId, step));

/**
 * What a trial came to as far as this cohort takes it: its result or, if the cohort ends before its
 * last step, what it was there. null if it is yet to run.
 */
export async function readCohortResult(
  root: string,
  sweepId: string,
  { until_step: step }: Cohort,
  trialId: string,
): Promise<TrialResult | null> {
  const result = await readResult(root, sweepId, trialId);
  // One that was stopped may go on, if what it was compared with has run again.
  if (result !== null && result.status !== 'stopped') return result;
  return step === undefined ? null : readRungResult(root, trialId, step);
}

/** By trial id, at the rung that the plan's open choices come to next; empty if there is none. */
export async function readNextRung(root: string, plan: Plan): Promise<Map<string, TrialResult>> {
  const found = new Map<string, TrialResult>();
  for (const choice of listOpenChoices(plan)) {
    const fraction = findNextRung(plan.search!.stop_early, choice);
    if (fraction === null) continue;
    await mapBounded(listActiveTrials(choice), async (id) => {
      const result = await readRungResult(root, id, findRungStep(findTrial(plan, id), fraction));
      if (result !== null) found.set(id, result);
    });
  }
  return found;
}

/**
 * Gives each trial that the plan's decisions have stopped its outcome in this sweep: what it was at
 * its last rung. Outcomes that are there stay.
 */
export async function writeStopped(root: string, plan: Plan): Promise<void> {
  if (plan.search?.stop_early === undefined) return;
  await mapBounded([...listStopped(plan.search)], async ([id, fraction]) => {
    const step = findRungStep(findTrial(plan, id), fraction);
    const known = await readResult(root, plan.sweep_id, id);
    if (known !== null && (known.status !== 'stopped' || known.stopped_at?.step === step)) return;
    const atRung = await readRungResult(root, id, step);
    if (atRung !== null) await writeResult(root, plan.sweep_id, atRung);
  });
}
