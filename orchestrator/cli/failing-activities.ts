/** Activities of a sweep that fail again and again, which Temporal retries without an end. */
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { Pool } from './pool-view';

/** Deadline of each request to the server. */
const ANSWER_MS = 3000;
/** With more cohorts in progress, only so many are looked at: they fail alike. */
const COHORTS = 8;
/** One try may fail because a service was restarted; this many in a row do not. */
const ATTEMPTS = 4;
/** PENDING_ACTIVITY_STATE_STARTED of Temporal's API. */
const STARTED = 2;

/**
 * One line for each activity of the sweep, its cohorts and the pool of trainers that failed several
 * times, with the last failure's message; empty if the server does not answer.
 */
export async function findFailingActivities(
  client: Client,
  sweepId: string,
  pool: Pool | undefined,
): Promise<string[]> {
  const describe = (workflowId: string) =>
    client.withDeadline(Date.now() + ANSWER_MS, () =>
      client.workflow.getHandle(workflowId).describe(),
    );
  const sweep = await describe(sweepId).catch(() => undefined);
  if (sweep === undefined) return [];
  const found = listFailing(sweepId, sweep.raw);
  for (const { workflowId } of (sweep.raw.pendingChildren ?? []).slice(0, COHORTS)) {
    // It may have just ended.
    const cohort = await describe(workflowId!).catch(() => undefined);
    if (cohort) found.push(...listFailing(workflowId!.split('/').at(-1)!, cohort.raw));
  }
  if (pool) found.push(...listFailing('the pool', pool.raw));
  // The server lists children in no order.
  return found.sort();
}

function listFailing(owner: string, raw: WorkflowExecutionDescription['raw']): string[] {
  return (raw.pendingActivities ?? [])
    .filter(({ attempt, lastFailure }) => (attempt ?? 0) >= ATTEMPTS && lastFailure)
    .filter(({ activityType, state }) => {
      // A job's watch that runs works again, whatever befell earlier ones. Others end in a minute.
      const works: boolean = activityType?.name === 'runJob' && Number(state) === STARTED;
      return !works;
    })
    .map(({ activityType, attempt, lastFailure }) => {
      let innermost = lastFailure!;
      while (innermost.cause) innermost = innermost.cause;
      return `${activityType?.name} of ${owner} failed ${attempt! - 1} times: ${innermost.message}`;
    });
}
