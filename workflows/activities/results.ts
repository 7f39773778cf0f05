/** Makes result files from predictions, and the report from result files. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { mapBounded } from '../../orchestrator/base/bounded';
import { ConfigError } from '../../orchestrator/base/errors';
import { adapterName, findBottleneck } from '../../orchestrator/sweep/adapters';
import { countBudget } from '../../orchestrator/tasks/budget';
import { evaluatePredictions } from '../../orchestrator/tasks/evaluate';
import type { TrialEvaluation } from '../../orchestrator/tasks/family';
import { SweepDiagnostics } from '../../orchestrator/diagnostics/trial-diagnostics';
import { writeReport } from '../../orchestrator/report/write';
import { readCohortResult, writeRungResult } from '../../orchestrator/store/rung-results';
import { readResults, SweepResults } from '../../orchestrator/store/sweep-results';
import { readPlan } from '../../orchestrator/store/plan-store';
import {
  readDoneResult,
  readResult,
  readStage,
  writeProgress,
  writeResult,
  writeTrialJson,
  writeTrialLines,
  type CohortProgress,
} from '../../orchestrator/store/sweep-store';
import { findCohort, findDataset, findTrial } from '../../orchestrator/sweep/lookup';
import type { Plan, Trial, TrialResult } from '../../orchestrator/sweep/types';
import { packageVersion } from '../../common/package';
import { cameToNothing, findCommonFailure } from '../failure-budget';
import type { CohortOutcome, Failed } from '../messages';
import { beatDuring } from './heartbeat';
import { takeTurns } from './turns';
import type { WorkerSetup } from './worker-setup';

interface PlanRef {
  sweepId: string;
  planDigest: string;
}

/**
 * The cohort's trials that have no result in this sweep yet. Whoever starts the sweep first removes
 * the outcomes of trials to rerun.
 */
export async function pendingTrials(
  setup: WorkerSetup,
  input: PlanRef & { cohortId: string },
): Promise<string[]> {
  const plan = await readPlan(setup.root, input.sweepId, input.planDigest);
  const cohort = findCohort(plan, input.cohortId);
  const results = await mapBounded(cohort.trials, (id) =>
    readCohortResult(setup.root, input.sweepId, cohort, id),
  );
  return cohort.trials.filter((_, i) => results[i] === null);
}

/**
 * Writes a result for each of these trials, with its metrics or why it has none. Returns counts by
 * outcome.
 *
 * Keeps results that are already done, so an attempt continues where the previous one timed out
 * (ten thousand answers take seconds per trial).
 */
export async function evaluateTrials(
  setup: WorkerSetup,
  input: PlanRef & {
    cohortId: string;
    trials: string[];
    failed: Record<string, Failed>;
    /** As in CohortProgress. */
    part?: number;
  },
): Promise<CohortOutcome> {
  const plan = await readPlan(setup.root, input.sweepId, input.planDigest);
  const { until_step: step } = findCohort(plan, input.cohortId);
  const outcome: CohortOutcome = { done: 0, failed: 0, cancelled: 0 };
  const failures: Failed[] = [];
  const passing: unknown[] = [];
  await mapBounded(input.trials, async (id) => {
    try {
      let result = await readDoneResult(setup.root, id);
      if (result === null) {
        const trial = findTrial(plan, id);
        const built = await buildResult(setup.root, plan, trial, input.failed[id], step);
        result = built.result;
        if (built.failure) failures.push(built.failure);
        const { stopped_at } = result;
        if (stopped_at) await writeRungResult(setup.root, { ...result, stopped_at });
        else await writeResult(setup.root, plan.sweep_id, result);
      }
      // One that is measured in the middle of its training has no outcome yet.
      if (result.status === 'stopped') outcome.measured = (outcome.measured ?? 0) + 1;
      else outcome[result.status]++;
    } catch (error) {
      // The trials behind it need not wait for the next attempt.
      passing.push(error);
    }
  });
  // After the results, because whoever sees it change looks for them.
  await writeProgress(setup.root, input.sweepId, endedProgress(input));
  if (passing.length > 0) throw passing[0];
  const failure = cameToNothing(outcome) ? findCommonFailure(failures) : undefined;
  return failure ? { ...outcome, failure } : outcome;
}

const endedProgress = ({
  cohortId,
  trials,
  part,
}: Parameters<typeof evaluateTrials>[1]): CohortProgress => ({
  cohort: cohortId,
  ...(part === undefined ? {} : { part, trials }),
  ...{ work: 'evaluate', state: 'succeeded', done: trials.length, total: trials.length },
  ...{ rows_per_s: 0, losses: {}, note: null, updated: Date.now() },
});

/**
 * Ids of the cohorts in which some trial has no result in this sweep yet, in the plan's order.
 * Heartbeats: a large sweep has thousands of files to read.
 */
export function listUnfinishedCohorts(setup: WorkerSetup, input: PlanRef): Promise<string[]> {
  return beatDuring(async () => {
    const { sweepId, planDigest } = input;
    const plan = await readPlan(setup.root, sweepId, planDigest);
    const results = await readResults(setup.root, plan);
    const finished = new Set(
      results.filter(({ status }) => status !== 'stopped').map(({ trial_id }) => trial_id),
    );
    const unfinished: string[] = [];
    for (const cohort of plan.cohorts) {
      const left = cohort.trials.filter((id) => !finished.has(id));
      const there =
        cohort.until_step === undefined
          ? left.map(() => null)
          : await mapBounded(left, (id) => readCohortResult(setup.root, sweepId, cohort, id));
      if (there.includes(null)) unfinished.push(cohort.id);
    }
    return unfinished;
  });
}

/**
 * Gives each trial without a result this outcome, in cohorts that will not be started. Heartbeats.
 * Returns counts of outcomes in these cohorts, which an attempt that continues another one counts
 * as well.
 */
export function endCohorts(
  setup: WorkerSetup,
  input: PlanRef & { cohorts: string[]; failed: Failed },
): Promise<CohortOutcome> {
  const { sweepId, planDigest, cohorts, failed } = input;
  return beatDuring(async (signal) => {
    const plan = await readPlan(setup.root, sweepId, planDigest);
    const trials = cohorts.flatMap((id) => findCohort(plan, id).trials);
    const outcome: CohortOutcome = { done: 0, failed: 0, cancelled: 0 };
    await mapBounded(trials, async (id) => {
      // The sweep's next run may have begun: its trials are not to be marked.
      signal.throwIfAborted();
      const result = await endTrial(setup.root, plan, id, failed);
      if (result.status === 'failed' || result.status === 'cancelled') outcome[result.status]++;
    });
    return outcome;
  });
}

/** Gives a trial this outcome unless it has a result; returns what it has then. */
export async function endTrial(
  root: string,
  plan: Plan,
  id: string,
  failed: Failed,
): Promise<TrialResult> {
  const known = await readResult(root, plan.sweep_id, id);
  if (known !== null) return known;
  const { result } = await buildResult(root, plan, findTrial(plan, id), failed);
  await writeResult(root, plan.sweep_id, result);
  return result;
}

/** Marks the cohort's trials without a result as failed, after the cohort itself failed. */
export async function failCohort(
  setup: WorkerSetup,
  input: PlanRef & { cohortId: string; message: string },
): Promise<CohortOutcome> {
  const plan = await readPlan(setup.root, input.sweepId, input.planDigest);
  const trials: string[] = [];
  const cohort = findCohort(plan, input.cohortId);
  for (const id of cohort.trials) {
    const result = await readCohortResult(setup.root, input.sweepId, cohort, id);
    // Those that an earlier attempt has marked count as well.
    if (result === null || result.error === `cohort: ${input.message}`) trials.push(id);
  }
  const failed = Object.fromEntries(
    trials.map((id) => [id, { reason: 'cohort', message: input.message }]),
  );
  return evaluateTrials(setup, { ...input, trials, failed });
}

/** What was read for a sweep's last report. */
interface Reported {
  results: SweepResults;
  diagnostics: SweepDiagnostics;
}

/** Of the last sweeps with a report, by id, the least recent first: a report reads what is new. */
const reported = new Map<string, Reported>();
const REPORTED = 4;

/** What trials of earlier versions have no file of is made bit by bit: a report has a minute. */
const DIAGNOSTICS_MS = 15_000;

/** whole: whether to read every result again, which finds those that other sweeps have made. */
export async function writeSweepReport(
  setup: WorkerSetup,
  input: PlanRef & { whole?: boolean },
): Promise<void> {
  const { sweepId, planDigest, whole = false } = input;
  const plan = await readPlan(setup.root, sweepId, planDigest);
  const known = reported.get(sweepId);
  const results = (!whole && known?.results) || new SweepResults(setup.root);
  const diagnostics = known?.diagnostics ?? new SweepDiagnostics(setup.root);
  reported.delete(sweepId);
  reported.set(sweepId, { results, diagnostics });
  for (const oldest of [...reported.keys()].slice(0, -REPORTED)) reported.delete(oldest);
  await results.refresh(plan);
  const extent = { diagnostics, isWhole: whole, limitMs: DIAGNOSTICS_MS };
  await writeReport(plan, [...results.results.values()], setup.root, extent);
}

/**
 * Evaluates one trial at a time, and lets timers run in between: thousands of answers take seconds
 * without a pause, and heartbeats must not wait for all trials of a cohort.
 */
const evaluateInTurn = (...request: Parameters<typeof evaluatePredictions>) =>
  takeTurns('evaluation', async () => {
    await nextTurn();
    return evaluatePredictions(...request);
  });

/**
 * A trial's result, and why it failed if it did. `failed`: why its jobs did. A fault of its files
 * or of its evaluation is this trial's own; only the system's errors, which may pass, are thrown.
 *
 * @param step in the middle of its training, where it is measured; undefined for its end
 */
export async function buildResult(
  root: string,
  plan: Plan,
  trial: Trial,
  failed: Failed | undefined,
  step?: number,
): Promise<{ result: TrialResult; failure: Failed | undefined }> {
  const { adapter, prune } = trial;
  const dataset = findDataset(plan, trial.dataset);
  let failure = failed;
  const tryTo = async <T>(work: () => T | Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      failure ??= describeFault(error);
      return otherwise;
    }
  };
  const pruned = await tryTo(() => readStage(root, trial.id, 'prune'), null);
  const trained = await tryTo(() => readStage(root, trial.id, 'train', step), null);
  const predicted = await tryTo(() => readStage(root, trial.id, 'predict', step), null);
  // The job that made the last mask reports its sparsity, which only official rules let differ from
  // the plan.
  const { achieved_sparsity = null, kept } =
    (prune.every_steps > 0 ? trained : pruned)?.values ?? {};
  const planned = countBudget(trial, plan.backbone, dataset);
  const nothing: TrialEvaluation = { metrics: {}, warnings: [] };
  const evaluated = failure
    ? nothing
    : await tryTo(() => evaluateInTurn(root, plan, trial, predicted?.artifacts, step), nothing);
  if (step === undefined) await writeEvaluated(root, trial.id, evaluated);
  const { thresholds = {} } = evaluated;
  const result: TrialResult = {
    trial_id: trial.id,
    task: trial.task,
    backbone: plan.backbone.name,
    adapter: adapterName(adapter),
    bottleneck: findBottleneck(adapter),
    pruner: prune.pruner,
    sparsity: prune.sparsity,
    ...(trial.precision === undefined ? {} : { precision: trial.precision }),
    achieved_sparsity,
    seed: trial.seed,
    status: nameStatus(failure, step),
    ...(failure === undefined && step !== undefined
      ? { stopped_at: { step, total_steps: trial.train.total_steps } }
      : {}),
    metrics: evaluated.metrics,
    ...(Object.keys(thresholds).length > 0 ? { thresholds } : {}),
    budget: { ...planned, kept: kept ?? planned.kept },
    train: {
      steps: trained?.values.steps ?? 0,
      rows_per_s: trained?.values.rows_per_second ?? 0,
      wall_s: trained?.values.wall_seconds ?? 0,
      cohort: trained?.cohort ?? 0,
    },
    warnings: [...(pruned?.warnings ?? []), ...(trained?.warnings ?? []), ...evaluated.warnings],
    error:
      failure && failure.reason !== 'cancelled' ? `${failure.reason}: ${failure.message}` : null,
    data: dataset.source,
    provenance: {
      sa_orch: packageVersion(),
      backbone_digest: plan.backbone.digest,
      pruned_by: pruned?.environments ?? [],
      trained_by: trained?.environments ?? [],
      predicted_by: predicted?.environments ?? [],
    },
  };
  return { result, failure };
}

function nameStatus(failure: Failed | undefined, step: number | undefined): TrialResult['status'] {
  if (failure !== undefined) return failure.reason === 'cancelled' ? 'cancelled' : 'failed';
  return step === undefined ? 'done' : 'stopped';
}

/** Files beside the predictions. */
async function writeEvaluated(
  root: string,
  trialId: string,
  { files = {}, lines = {} }: TrialEvaluation,
): Promise<void> {
  for (const [name, values] of Object.entries(files))
    await writeTrialJson(root, trialId, name, values);
  for (const [name, values] of Object.entries(lines))
    await writeTrialLines(root, trialId, name, values);
}

function describeFault(error: unknown): Failed {
  if (error instanceof ConfigError) return { reason: 'bad_artifact', message: error.message };
  // Too many open files, a disk that is away: all is tried again.
  if (!(error instanceof Error) || 'syscall' in error) throw error;
  return {
    reason: 'internal',
    message: `the predictions cannot be evaluated: ${error.name}: ${error.message}`,
  };
}
