/** Extends a sweep that runs, through its workflow, which alone writes its plan. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { extendUpdate, REJECTED, statusQuery, type ExtendRequest } from '../../workflows/messages';
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

/**
 * Has the sweep extended, and returns its plan, which its workflow may yet have to change; null if
 * it has ended meanwhile.
 *
 * @throws UserError if it is being cancelled or cannot be extended (exit 2), or no worker responds
 *   (exit 3)
 */
export async function extendOpen(
  client: Client,
  root: string,
  sweepId: string,
  request: ExtendRequest,
): Promise<Plan | null> {
  const handle = client.workflow.getHandle(sweepId);
  try {
    await client.withDeadline(Date.now() + ANSWER_MS, () =>
      handle.executeUpdate(extendUpdate, { args: [request] }),
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) throw noWorker();
    if (!(error instanceof WorkflowUpdateFailedError)) throw error;
    const { cause } = error;
    const type = cause instanceof ApplicationFailure ? cause.type : undefined;
    if (type !== REJECTED.ending)
      throw new UserError(
        `${sweepId} cannot be extended now: ${cause?.message ?? error.message}`,
        2,
        'Give the same command again once it has ended.',
      );
    await untilEnded(client, sweepId);
    return null;
  }
  const wanted = canonicalJson(request.extension);
  for (const until = Date.now() + EFFECT_MS; Date.now() < until; await sleep(POLL_MS)) {
    const plan = await readPlan(root, sweepId);
    if (plan.extended?.some((each) => canonicalJson(each) === wanted)) return plan;
    const status = await handle.query(statusQuery).catch(() => undefined);
    if (status?.notExtended !== undefined)
      throw new UserError(`${sweepId} cannot be extended: ${status.notExtended}`, 2);
  }
  return readPlan(root, sweepId);
}

const noWorker = () =>
  new UserError(
    `no worker responded within ${ANSWER_MS / 1000} s; the sweep is extended once one is there`,
    3,
    '`sa-orch status` shows the worker and `sa-orch up` starts it.',
  );

async function untilEnded(client: Client, sweepId: string): Promise<void> {
  const until = Date.now() + ENDING_MS;
  while (isOpen((await workflowState(client, sweepId)).state) && Date.now() < until)
    await sleep(POLL_MS);
}
