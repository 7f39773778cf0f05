/** Tokenizes a data set into `datasets/<digest>/`. */
import { prepareDatasetInThread } from '../../orchestrator/tasks/prepare-thread';
import { readPlan } from '../../orchestrator/store/sweep-store';
import { findDataset } from '../../orchestrator/sweep/lookup';
import { beatDuring } from './heartbeat';
import type { WorkerSetup } from './worker-setup';

export interface PrepareInput {
  sweepId: string;
  planDigest: string;
  /** The data set's digest. */
  dataset: string;
}

/** Runs in its own thread because tokenizing on the worker's event loop would delay heartbeats. */
export async function prepareData(setup: WorkerSetup, input: PrepareInput): Promise<void> {
  const plan = await readPlan(setup.root, input.sweepId, input.planDigest);
  const dataset = findDataset(plan, input.dataset);
  await beatDuring(() => prepareDatasetInThread(dataset, plan.backbone.path, setup.root));
}
