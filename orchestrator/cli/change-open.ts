/** Changes a sweep that runs, through its workflow, which alone writes its plan. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isGrpcDeadlineError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import {
  changeUpdate,
  REJECTED,
  statusQuery,
  type Change,
  type ExtendRequest,
} from '../../workflows/messages';
import { UserError } from '../base/errors';
import { readPlan } from '../store/plan-store';
import { canonicalJson } from '../sweep/canonical';
import type { Plan } from '../sweep/types';
import { isOpen, workflowState } from './follow';

/** Without a worker an update waits; after this long, the user is told. */
const ANSWER_MS = 15_000;
const POLL_MS = 200;
/** What was accepted is done at once, or after something that the worker waits for. */
const EFFECT_MS = 5000;
/** The last report of a sweep of thousands of trials takes some seconds. */
const ENDING_MS = 60_000;

const DONE: Record<Change['kind'], string> = {
  extend: 'extended',
  retry: 'made to run trials again',
  cancel: 'made to go on without a trial',
};

/**
 * Has the workflow accept a change; false if the sweep has ended meanwhile.
 *
 * @throws UserError if it is being cancelled (exit 2), or no worker responds (exit 3)
 */
export async function requestChange(
  client: Client,
  sweepId: string,
  change: Change,
): Promise<boolean> {
  try {
    await client.withDeadline(Date.now() + ANSWER_MS, () =>
      client.workflow.getHandle(sweepId).executeUpdate(changeUpdate, { args: [change] }),
    );
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) throw noWorker();
    if (!(error instanceof WorkflowUpdateFailedError)) throw error;
    const { cause } = error;
    const type = cause instanceof ApplicationFailure ? cause.type : undefined;
    if (type !== REJECTED.ending)
      throw new UserError(
        `${sweepId} cannot be ${DONE[change.kind]} now: ${cause?.message ?? error.message}`,
        2,
        'Give the same command again once it has ended.',
      );
    if (await isEnded(client, sweepId)) return false;
    throw new UserError(
      `${sweepId} cannot be ${DONE[change.kind]} now: it starts no more cohorts, and its last ` +
        'ones are still running',
      2,
      'Give the same command again once it has ended.',
    );
  }
}

/**
 * Has the sweep extended, and returns its plan, which its workflow may yet have to change; null if
 * it has ended meanwhile.
 *
 * @throws UserError as requestChange does, and if the sweep cannot be extended (exit 2)
 */
export async function extendOpen(
  client: Client,
  root: string,
  sweepId: string,
  request: ExtendRequest,
): Promise<Plan | null> {
  if (!(await requestChange(client, sweepId, { kind: 'extend', request }))) return null;
  const wanted = canonicalJson(request.extension);
  for (const until = Date.now() + EFFECT_MS; Date.now() < until; await sleep(POLL_MS)) {
    const plan = await readPlan(root, sweepId);
    if (plan.extended?.some((each) => canonicalJson(each) === wanted)) return plan;
    const status = await client.workflow
      .getHandle(sweepId)
      .query(statusQuery)
      .catch(() => undefined);
    if (status?.notChanged !== undefined)
      throw new UserError(`${sweepId} cannot be extended: ${status.notChanged}`, 2);
  }
  return readPlan(root, sweepId);
}

/**
 * The trials of an open sweep that were cancelled and have no outcome yet.
 *
 * @throws UserError (exit 3) if no worker responds
 */
export async function listLeaving(client: Client, sweepId: string): Promise<string[]> {
  try {
    const { leaving = [] } = await client.withDeadline(Date.now() + ANSWER_MS, () =>
      client.workflow.getHandle(sweepId).query(statusQuery),
    );
    return leaving;
  } catch (error) {
    if (isGrpcDeadlineError(error)) throw noWorker();
    throw error;
  }
}

const noWorker = () =>
  new UserError(
    `no worker responded within ${ANSWER_MS / 1000} s`,
    3,
    '`sa-orch status` shows the worker and `sa-orch up` starts it. Then try again.',
  );

/** Waits for the end of a sweep that is ending; false if its last cohorts take longer. */
async function isEnded(client: Client, sweepId: string): Promise<boolean> {
  for (const until = Date.now() + ENDING_MS; Date.now() < until; await sleep(POLL_MS))
    if (!isOpen((await workflowState(client, sweepId)).state)) return true;
  return false;
}
