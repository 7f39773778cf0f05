/**
 * What trials came to in the middle of their training, at the rungs of a search and where a sweep
 * evaluates them, in `trials/<id>/rungs/step<N>.json`. Like a result at its end, it counts for
 * every sweep that has the trial.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeJsonDurably } from '../../common/durable-files';
import { noneIfNotThere } from '../../common/files';
import { mapBounded } from '../base/bounded';
import { evaluationsOf } from '../sweep/evaluations';
import { findDataset, findTrial } from '../sweep/lookup';
import { findNextRung, findRungStep, listActiveTrials, listStopped } from '../sweep/rungs';
import { listOpenChoices } from '../sweep/search';
import type { Cohort, Plan, Trial, TrialResult } from '../sweep/types';
import { readJson } from './read-files';
import { readResult, trialDir, writeResult } from './sweep-store';

const rungPath = (root: string, trialId: string, step: number): string =>
  join(trialDir(root, trialId), 'rungs', `step${step}.json`);

export const writeRungResult = (
  root: string,
  result: TrialResult & Required<Pick<TrialResult, 'stopped_at'>>,
): Promise<void> =>
  writeJsonDurably(rungPath(root, result.trial_id, result.stopped_at.step), result);

export const readRungResult = (root: string, trialId: string, step: number) =>
  readJson<TrialResult>(rungPath(root, trialId, step));

/** At all steps where the trial was measured, in no order. */
export async function listRungResults(root: string, trialId: string): Promise<TrialResult[]> {
  const folder = join(trialDir(root, trialId), 'rungs');
  const names = (await readdir(folder).catch(noneIfNotThere)).filter((name) =>
    /^step\d+\.json$/.test(name),
  );
  const results = await mapBounded(names, (name) => readJson<TrialResult>(join(folder, name)));
  return results.filter((result) => result !== null);
}

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

/**
 * A finished trial with the metrics of the best of its evaluations, its last included, by the
 * deciding metric; of equal ones the earliest. One with other weights than are left at the end, as
 * before a round of pruning, is not the trial that is reported.
 */
export async function takeBest(
  root: string,
  plan: Plan,
  trial: Trial,
  last: TrialResult,
): Promise<TrialResult> {
  const [deciding] = findDataset(plan, trial.dataset).metrics;
  const early = await mapBounded(evaluationsOf(plan)(trial), async (step) => ({
    step,
    result: await readRungResult(root, trial.id, step),
  }));
  const all = [...early, { step: trial.train.total_steps, result: last }];
  const best = all.reduce((one, other) => (valueOf(other) > valueOf(one) ? other : one));
  const { metrics, thresholds } = best.result!;
  const best_of = all.filter(({ result }) => result !== null).length;
  const taken = { ...last, metrics, best_step: best.step, best_of };
  delete taken.thresholds;
  return thresholds === undefined ? taken : { ...taken, thresholds };

  function valueOf({ result }: { result: TrialResult | null }): number {
    if (result?.budget.kept !== last.budget.kept) return -Infinity;
    return result.metrics[deciding!] ?? -Infinity;
  }
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
