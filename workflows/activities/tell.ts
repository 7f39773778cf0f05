/** What pool, cohorts and sweeps tell each other. Each says whether the other one still runs. */
import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError, type SignalDefinition } from '@temporalio/common';
import { grantedSignal, placedSignal, revokedSignal, type Lease } from '../pool-messages';
import type { WorkerSetup } from './worker-setup';

/** Tells a sweep that this cohort has its first trainer. */
export const tellPlaced = (_: WorkerSetup, sweep: string, cohort: string): Promise<boolean> =>
  tell(sweep, placedSignal, cohort);

export const tellGranted = (_: WorkerSetup, cohort: string, lease: Lease): Promise<boolean> =>
  tell(cohort, grantedSignal, lease);

/** id: of the lease that ends. */
export const tellRevoked = (_: WorkerSetup, cohort: string, id: string): Promise<boolean> =>
  tell(cohort, revokedSignal, id);

async function tell<Value>(
  workflowId: string,
  signal: SignalDefinition<[Value]>,
  value: Value,
): Promise<boolean> {
  try {
    await Context.current().client.workflow.getHandle(workflowId).signal(signal, value);
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
