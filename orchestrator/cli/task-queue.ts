/** A sweep stays on the task queue on which it was started: waiting elsewhere is in vain. */
import type { Client } from '@temporalio/client';
import { UserError } from '../base/errors';

const ANSWER_MS = 3000;

/** The task queue of an open sweep; undefined if it is not open, or the server does not answer. */
export async function findOpenQueue(client: Client, sweepId: string): Promise<string | undefined> {
  try {
    const { status, taskQueue } = await client.withDeadline(Date.now() + ANSWER_MS, () =>
      client.workflow.getHandle(sweepId).describe(),
    );
    return status.name === 'RUNNING' ? taskQueue : undefined;
  } catch {
    return undefined; // whoever follows the sweep says which
  }
}

/**
 * Returns the open sweep's queue, which is this one; undefined where findOpenQueue finds none.
 *
 * @param taskQueue the queue that the worker of this state directory serves
 * @throws UserError (exit 3) if the sweep is open on another one, with how to end it
 */
export async function refuseOtherQueue(
  client: Client,
  sweepId: string,
  taskQueue: string,
): Promise<string | undefined> {
  const found = await findOpenQueue(client, sweepId);
  if (found === undefined || found === taskQueue) return found;
  throw new UserError(
    `${sweepId} is open on task queue ${found}, but the worker here serves ` +
      `${taskQueue}: an earlier version of sa-orch started it, or one with another --root`,
    3,
    `\`sa-orch cancel --force ${sweepId}\` ends it. Then \`sa-orch start\` continues it here: ` +
      'finished trials keep their results, others their checkpoints.',
  );
}
