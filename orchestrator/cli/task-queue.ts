/** A sweep stays on the task queue on which it was started: waiting elsewhere is in vain. */
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { UserError } from '../base/errors';

const ANSWER_MS = 3000;

/**
 * @param taskQueue the queue that the worker of this state directory serves
 * @throws UserError (exit 3) if the sweep is open on another one, with how to end it
 */
export async function refuseOtherQueue(
  client: Client,
  sweepId: string,
  taskQueue: string,
): Promise<void> {
  let found: WorkflowExecutionDescription;
  try {
    found = await client.withDeadline(Date.now() + ANSWER_MS, () =>
      client.workflow.getHandle(sweepId).describe(),
    );
  } catch {
    return; // not open, or the server is away: whoever follows the sweep says which
  }
  if (found.status.name !== 'RUNNING' || found.taskQueue === taskQueue) return;
  throw new UserError(
    `${sweepId} is open on task queue ${found.taskQueue}, but the worker here serves ` +
      `${taskQueue}: an earlier version of sa-orch started it, or one with another --root`,
    3,
    `\`sa-orch cancel --force ${sweepId}\` ends it. Then \`sa-orch start\` continues it here: ` +
      'finished trials keep their results, others their checkpoints.',
  );
}
