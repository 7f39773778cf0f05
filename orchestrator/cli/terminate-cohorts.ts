/** Ends sweeps and cohorts without their help. */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { forgetSignal, poolId } from '../../workflows/pool-messages';

/** Ends a sweep and its cohorts; returns whether any of them was open. */
export async function terminateSweep(
  client: Client,
  sweepId: string,
  reason: string,
): Promise<boolean> {
  const wasOpen = await client.workflow
    .getHandle(sweepId)
    .terminate(reason)
    .then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof WorkflowNotFoundError)) throw error;
        return false;
      },
    );
  return (await terminateCohorts(client, sweepId, new Date(), reason)) > 0 || wasOpen;
}

/**
 * Terminates the open cohorts of a sweep that were started up to a time, and returns how many there
 * were. Their trainers are free from then on. A cohort that was left to end by itself could mark
 * trials of the sweep's next run as cancelled.
 */
export async function terminateCohorts(
  client: Client,
  sweepId: string,
  until: Date,
  reason: string,
): Promise<number> {
  const terminated: string[] = [];
  const pools = new Set<string>();
  const query = "WorkflowType = 'cohort' AND ExecutionStatus = 'Running'";
  for await (const { workflowId, startTime, taskQueue } of client.workflow.list({ query })) {
    if (!workflowId.startsWith(`${sweepId}/`) || startTime > until) continue;
    terminated.push(workflowId);
    pools.add(poolId(taskQueue));
    await ignoreEnded(client.workflow.getHandle(workflowId).terminate(reason));
  }
  for (const pool of pools)
    await ignoreEnded(client.workflow.getHandle(pool).signal(forgetSignal, terminated));
  return terminated.length;
}

/** Waits for something that a workflow which has just ended need not do. */
async function ignoreEnded(action: Promise<unknown>): Promise<void> {
  try {
    await action;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** The same for cohorts of the sweep's last run, which has ended; with no run, there are none. */
export async function terminateLeftCohorts(client: Client, sweepId: string): Promise<void> {
  try {
    const { closeTime } = await client.workflow.getHandle(sweepId).describe();
    if (closeTime) await terminateCohorts(client, sweepId, closeTime, 'its sweep has ended');
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
