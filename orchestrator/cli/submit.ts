/** Submits a planned sweep to the Temporal server, or joins it if it is open. */
import { randomBytes } from 'node:crypto';
import type { Client, Connection } from '@temporalio/client';
import type { sweep } from '../../workflows/sweep';
import type { ExtendRequest, SweepInput, SweepPlacement } from '../../workflows/messages';
import { describeSweep } from '../../workflows/search-attributes';
import { UserError } from '../base/errors';
import { plural } from '../base/plural';
import type { OnProgress } from '../base/progress';
import { quoteWord } from '../base/shell-quote';
import { hasAsked, writeAsked } from '../store/asked';
import { hasPlan, readPlan, writePlan } from '../store/plan-store';
import { writeStopped } from '../store/rung-results';
import { readResults } from '../store/sweep-results';
import { removeOutcome } from '../store/sweep-store';
import { canonicalJson } from '../sweep/canonical';
import { listCohortRefs } from '../sweep/cohorts';
import { listStopped } from '../sweep/rungs';
import {
  countTrials,
  decidesEarly,
  isSearching,
  listCandidateTrials,
  listUndecided,
  listSearchTrials,
} from '../sweep/search';
import { countTrainedRows } from '../sweep/trained-rows';
import type { Asked, Cohort, Plan, TrialResult } from '../sweep/types';
import type { Runtime } from '../runtime/up';
import { extendOpen, listLeaving, requestChange } from './change-open';
import { isOpen, workflowState } from './follow';
import { describeSize } from './request';
import type { Retries } from './retries';
import { refuseOtherQueue } from './task-queue';
import { canSearch } from './search-attributes';
import { terminateLeftCohorts, terminateSweep } from './terminate-cohorts';

export interface Submitted {
  state: 'started' | 'joined' | 'extended' | 'retried' | 'complete';
  /** A joined sweep waits for `resume`. */
  isPaused: boolean;
  /** With the choices of its search, where they are made already. */
  plan: Plan;
}

/** The way out where a worker must be another one. */
const REPLACE_WORKER =
  '`sa-orch down`, or `sa-orch down --force` while other sweeps are open, and the same ' +
  'command again replace it; open sweeps go on.';

export interface SubmitOptions {
  /** What the plan was made from. */
  asked: Asked;
  /** What is added to the sweep if it is open; undefined: nothing. */
  extension: ExtendRequest | undefined;
  /** The plan with the choices of its search, as far as results make them (readDecided). */
  decided: Plan;
  taskQueue: string;
  /** What the sweep wants of the pool of trainers. */
  placement: SweepPlacement;
  /** How many cohorts may run at the same time; 0: as many as there are trainers for. */
  maxParallel: number;
  /** The worker is of a version before pools. */
  hasOldWorker: boolean;
  /** The worker is of another build than this command. */
  isOtherBuild: boolean;
  /** The server. */
  temporal: Runtime['temporal'];
  /** Cohorts with the most work first, so that several trainers end at about the same time. */
  longestFirst: boolean;
  /** Which failed trials run again. */
  retry: Retries;
  onProgress: OnProgress;
  /** Throws if the plan's other trials must not run beside these results. */
  checkResults: (results: readonly TrialResult[]) => void;
  /** How many cohorts may fail alike before the sweep stops; 0: any number. */
  maxFailures: number;
}

/** Starts the sweep's workflow unless it is already running or all its results exist. */
export async function submitSweep(
  client: Client,
  root: string,
  planned: Plan,
  options: SubmitOptions,
): Promise<Submitted> {
  const { taskQueue, retry, checkResults, onProgress } = options;
  let plan = planned;
  const changed = await changeIfOpen(client, root, plan.sweep_id, options);
  if (changed !== null) return changed;
  const { state, detail } = await workflowState(client, plan.sweep_id);
  if (state === 'server out of reach')
    throw new UserError(
      `the Temporal server does not answer${detail ? `: ${detail}` : ''}`,
      3,
      '`sa-orch doctor` checks each part.',
    );
  // One of another root has the same id if it has the same trials.
  const queue = isOpen(state)
    ? await refuseOtherQueue(client, plan.sweep_id, taskQueue)
    : undefined;
  // A running sweep keeps the plan file it was started with.
  if (isOpen(state) && hasPlan(root, plan.sweep_id)) {
    if (!hasAsked(root, plan.sweep_id)) await writeAsked(root, plan.sweep_id, options.asked);
    await sayOtherKind(client, plan.sweep_id, options.placement.kind, onProgress);
    const { evaluate, search } = await readPlan(root, plan.sweep_id);
    const isOther = (one: unknown, other: unknown) =>
      canonicalJson(one ?? null) !== canonicalJson(other ?? null);
    if (isOther(evaluate, plan.evaluate))
      onProgress('!', 'evaluate', 'as at its start: the running sweep keeps how it evaluates');
    if (isOther(search?.stop_early, plan.search?.stop_early))
      onProgress('!', 'stop_early', 'as at its start: the running sweep keeps how it stops trials');
    return { state: 'joined', isPaused: state === 'paused', plan };
  }
  if (isOpen(state)) {
    if (queue === undefined)
      throw new UserError(`the Temporal server does not say where ${plan.sweep_id} runs`, 3);
    const reason = 'its files were removed';
    onProgress('!', `sweep ${plan.sweep_id}`, `${reason} while it was open: it begins again`);
    await terminateSweep(client, plan.sweep_id, reason);
  }
  await refuseExtendedMeanwhile(root, planned);
  // Without the plan they come from, failures are what is left of a removed folder.
  const isLeft = !hasPlan(root, plan.sweep_id);
  plan = options.decided;
  const results = await readResults(root, plan);
  retry.check(results);
  // A sweep's file may have been edited so that fewer are stopped.
  const stopped = plan.search ? listStopped(plan.search) : new Map<string, number>();
  const mayRunAgain = (result: TrialResult) =>
    result.status === 'cancelled' ||
    (result.status === 'stopped' && !stopped.has(result.trial_id)) ||
    (result.status === 'failed' && (isLeft || retry.isFor(result)));
  const again = results.filter(mayRunAgain);
  const isComplete = results.length === countTrials(plan) && again.length === 0;
  // Choices whose trials run again are made again.
  const searched = new Set(listSearchTrials(planned));
  if (again.some(({ trial_id }) => searched.has(trial_id))) plan = planned;
  if (!isComplete) checkResults(results.filter((result) => !again.includes(result)));
  if (!isComplete && options.hasOldWorker)
    throw new UserError(
      'the worker that runs here is of an earlier version, which cannot run this sweep',
      2,
      REPLACE_WORKER,
    );
  if (options.isOtherBuild && needsThisBuild(plan))
    throw new UserError(
      'the worker that runs here is of another build, which may not know what this sweep needs',
      2,
      REPLACE_WORKER,
    );
  await writeAsked(root, plan.sweep_id, options.asked);
  const planDigest = await writePlan(root, plan);
  await writeStopped(root, plan);
  if (isComplete) return { state: 'complete', isPaused: false, plan };
  await terminateLeftCohorts(client, plan.sweep_id);
  for (const { trial_id } of again) await removeOutcome(root, plan.sweep_id, trial_id);
  if (isSearching(plan)) await removeOldOutcomes(root, plan, mayRunAgain);
  const tasks = [...new Set(plan.datasets.map(({ task }) => task))];
  const backbone = plan.backbone.name;
  const isSearchable = await canSearch(client.connection as Connection, options.temporal);
  const input: SweepInput = {
    stateVersion: 1,
    sweepId: plan.sweep_id,
    planDigest,
    // Two sweeps that start in the same millisecond must not share jobs.
    run: `${Date.now().toString(36)}${randomBytes(4).toString('hex')}`,
    cohorts: listCohortRefs({ cohorts: options.longestFirst ? sortByWork(plan) : plan.cohorts }),
    maxParallel: options.maxParallel,
    placement: options.placement,
    maxFailures: options.maxFailures,
    ...(isSearching(plan) ? { hasSearch: true } : {}),
    ...(decidesEarly(plan) ? { decidesEarly: true } : {}),
    isSearchable,
  };
  await client.workflow.start<typeof sweep>('sweep', {
    workflowId: plan.sweep_id,
    taskQueue,
    args: [input],
    // Of two simultaneous starts, the second joins the first.
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `${plan.name}: ${plural(countTrials(plan), 'trial')}`,
    memo: {
      ...{ sweep: plan.name, tasks, backbone, trials: countTrials(plan) },
      kind: options.placement.kind ?? '',
    },
    ...(isSearchable ? { typedSearchAttributes: describeSweep(plan.name, tasks, backbone) } : {}),
  });
  return { state: 'started', isPaused: false, plan };
}

/**
 * Another command may have extended the sweep after this one had read its plan.
 *
 * @throws UserError (exit 2) if so, as this plan would replace that one
 */
export async function refuseExtendedMeanwhile(root: string, planned: Plan): Promise<void> {
  if (!hasPlan(root, planned.sweep_id)) return;
  const { extended = [] } = await readPlan(root, planned.sweep_id);
  const known = (planned.extended ?? []).slice(0, extended.length);
  if (canonicalJson(known) === canonicalJson(extended)) return;
  throw new UserError(
    `${planned.sweep_id} was extended by another command meanwhile`,
    2,
    'Give the same command again.',
  );
}

/**
 * Extends an open sweep, or has it run failed trials again; null if nothing is to be changed, or it
 * is not open, or ended just then: its next run begins so.
 *
 * @throws UserError (exit 2) if a choice was made without a trial that is to run again
 */
async function changeIfOpen(
  client: Client,
  root: string,
  sweepId: string,
  { extension, retry, taskQueue, isOtherBuild, onProgress }: SubmitOptions,
): Promise<Submitted | null> {
  if ((extension === undefined && !retry.isAsked) || !hasPlan(root, sweepId)) return null;
  const { state } = await workflowState(client, sweepId);
  if (!isOpen(state)) return null;
  await refuseOtherQueue(client, sweepId, taskQueue);
  if (isOtherBuild)
    throw new UserError(
      'the worker that runs here is of another build, which may not know how to change a sweep',
      2,
      REPLACE_WORKER,
    );
  const isPaused = state === 'paused';
  if (extension?.extension.rungs === 'off')
    throw new UserError(
      `${sweepId} is running, and its choices stay while it does`,
      2,
      'Give the same command again once it has ended: choices are then made anew.',
    );
  if (extension !== undefined) {
    const extended = await extendOpen(client, root, sweepId, extension);
    return extended && { state: 'extended', isPaused, plan: extended };
  }
  const plan = await readPlan(root, sweepId);
  const results = await readResults(root, plan);
  retry.check(results);
  const again = results.filter(
    (each) => ['failed', 'cancelled'].includes(each.status) && retry.isFor(each),
  );
  const ended = new Set(results.map(({ trial_id }) => trial_id));
  const open = plan.trials
    .map(({ id }) => id)
    .filter((id) => !ended.has(id) && retry.isFor({ trial_id: id, status: 'cancelled' }));
  const leaving = open.length === 0 ? [] : await listLeaving(client, sweepId);
  const all = [
    ...again.map(({ trial_id }) => trial_id),
    ...open.filter((id) => leaving.includes(id)),
  ];
  const decided = listDecided(plan);
  const trials = all.filter((id) => !decided.has(id));
  if (all.length === 0) {
    onProgress('·', 'retry', 'no trial of it has failed: none runs again');
    return null;
  }
  if (trials.length === 0) refuseDecided(sweepId, all[0]!);
  if (trials.length < all.length) {
    const left = plural(all.length - trials.length, 'failed trial');
    onProgress('!', 'retry', `${left} of the search left out, because their choice is made`);
  }
  const isAccepted = await requestChange(client, sweepId, { kind: 'retry', trials });
  return isAccepted ? { state: 'retried', isPaused, plan } : null;
}

/** While a sweep runs, its comparison goes by the choices that are made. */
function listDecided(plan: Plan): Set<string> {
  const undecided = new Set(listUndecided(plan));
  return new Set(listSearchTrials(plan).filter((id) => !undecided.has(id)));
}

function refuseDecided(sweepId: string, trial: string): never {
  throw new UserError(
    `${trial} is of a search, and its choice is made: while ${sweepId} runs, it stays so`,
    2,
    'Give the same command again once the sweep has ended: the choice is then made again.',
  );
}

/** Whether a worker of another build may run it wrongly without a word. */
const needsThisBuild = ({ search, evaluate, trials }: Plan): boolean =>
  search !== undefined ||
  evaluate !== undefined ||
  trials.some(({ prune }) => prune.scoring_head !== undefined);

/** Of the comparison that an earlier run began, before a trial of its search was to run again. */
async function removeOldOutcomes(
  root: string,
  plan: Plan,
  mayRunAgain: (result: TrialResult) => boolean,
): Promise<void> {
  const trials = listCandidateTrials(plan);
  const results = await readResults(root, { ...plan, trials, cohorts: [] });
  for (const { trial_id } of results.filter(mayRunAgain))
    await removeOutcome(root, plan.sweep_id, trial_id);
}

/** An open sweep keeps the kind of trainers that it was started for. */
async function sayOtherKind(
  client: Client,
  sweepId: string,
  kind: string | null,
  onProgress: OnProgress,
): Promise<void> {
  const { memo } = await client.workflow.getHandle(sweepId).describe();
  const its = memo?.kind;
  if (typeof its !== 'string' || its === '' || its === kind) return;
  onProgress(
    '!',
    'trainers',
    `the sweep uses ${its} and goes on there alone; to use ${kind ?? 'all kinds'}, ` +
      `\`sa-orch cancel ${quoteWord(sweepId)}\` and start it again`,
  );
}

/** The most training rows first; cohorts with as many stay in the plan's order. */
function sortByWork({ cohorts, trials }: Plan): Cohort[] {
  const planned = new Map(trials.map((trial) => [trial.id, trial]));
  const count = ({ trials: its, until_step: step }: Cohort) =>
    its.reduce((sum, id) => sum + countTrainedRows(planned.get(id)!, step), 0);
  return cohorts.toSorted((a, b) => count(b) - count(a));
}

/** Says how it went, and what to type next. */
export function saySubmitted(
  onProgress: OnProgress,
  plan: Plan,
  { state, isPaused }: Submitted,
  isDetached: boolean,
): void {
  const size = describeSize(plan);
  const id = quoteWord(plan.sweep_id);
  const following = isDetached
    ? `\`sa-orch watch ${id}\` follows it`
    : `Ctrl-C leaves it running; \`sa-orch watch ${id}\` follows it again`;
  const joined = isPaused
    ? `already started, but paused; \`sa-orch resume ${id}\` continues it`
    : `already running; ${isDetached ? following : 'showing its progress'}`;
  const words = {
    started: following,
    joined,
    extended: isPaused
      ? `extended, but paused; \`sa-orch resume ${id}\` continues it`
      : `extended; ${following}`,
    retried: isPaused
      ? `failed trials are to run again, but paused; \`sa-orch resume ${id}\` continues it`
      : `failed trials run again; ${following}`,
    complete: 'all results already exist',
  };
  onProgress('✓', `sweep ${plan.sweep_id}`, `${size}   ${words[state]}`);
}
