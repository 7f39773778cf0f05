/** The sweeps that are open on the Temporal server of a state directory. */
import type { Client } from '@temporalio/client';
import { readRuntimeConfig } from '../runtime/runtime-config';
import { connectTemporal } from '../runtime/temporal-client';
import { hasPlan } from '../store/plan-store';

const ANSWER_MS = 5000;

export interface OpenSweep {
  sweepId: string;
  /**
   * Its plan is gone: somebody removed the artifact root of these services, or its folder there.
   * Nothing is known of sweeps of other roots, which are on other task queues.
   */
  isLost: boolean;
}

/**
 * All of them, in alphabetical order. On a server that others use, too, only those of this worker.
 */
export async function listOpenSweeps(client: Client, stateDir: string): Promise<OpenSweep[]> {
  const config = readRuntimeConfig(stateDir);
  if (config === undefined) return [];
  const { root, taskQueue, temporal } = config;
  const ours = temporal.kind === 'external' ? ` AND TaskQueue = '${taskQueue}'` : '';
  const query = `WorkflowType = 'sweep' AND ExecutionStatus = 'Running'${ours}`;
  return client.withDeadline(Date.now() + ANSWER_MS, async () => {
    const sweeps: OpenSweep[] = [];
    for await (const { workflowId: sweepId, taskQueue: queue } of client.workflow.list({ query }))
      sweeps.push({ sweepId, isLost: queue === taskQueue && !hasPlan(root, sweepId) });
    return sweeps.sort((a, b) => (a.sweepId < b.sweepId ? -1 : 1));
  });
}

/** Their ids; none if no server answers. */
export async function listOpenIds(stateDir: string): Promise<string[]> {
  const client = await connectTemporal(stateDir, ANSWER_MS).catch(() => undefined);
  if (client === undefined) return [];
  try {
    return (await listOpenSweeps(client, stateDir)).map(({ sweepId }) => sweepId);
  } finally {
    await client.connection.close();
  }
}
