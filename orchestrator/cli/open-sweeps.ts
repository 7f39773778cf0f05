/** The sweeps that are open on the Temporal server of a state directory. */
import type { Client } from '@temporalio/client';
import { readRuntimeConfig } from '../runtime/runtime-config';
import { connectTemporal } from '../runtime/temporal-client';
import { hasPlan } from '../store/plan-store';

const ANSWER_MS = 5000;

export interface OpenSweep {
  sweepId: string;
  /** Its plan is gone: somebody removed the artifact root, or its folder there. */
  isLost: boolean;
}

/**
 * All of them, in alphabetical order. On a server that others use, too, only those of this worker.
 */
export async function listOpenSweeps(client: Client, stateDir: string): Promise<OpenSweep[]> {
  const config = readRuntimeConfig(stateDir);
  if (config === undefined) return [];
  const ids = await listIds(client, config.taskQueue, config.temporal.kind);
  return ids.map((sweepId) => ({ sweepId, isLost: !hasPlan(config.root, sweepId) }));
}

function listIds(
  client: Client,
  taskQueue: string,
  server: 'embedded' | 'external',
): Promise<string[]> {
  const ours = server === 'external' ? ` AND TaskQueue = '${taskQueue}'` : '';
  const query = `WorkflowType = 'sweep' AND ExecutionStatus = 'Running'${ours}`;
  return client.withDeadline(Date.now() + ANSWER_MS, async () => {
    const ids: string[] = [];
    for await (const { workflowId } of client.workflow.list({ query })) ids.push(workflowId);
    return ids.sort();
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
