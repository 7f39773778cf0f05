import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { ConfigError, type Problem } from '../base/errors';
import type { PlannedDataset } from '../sweep/types';
import { prepareDataset } from './prepare';

type Prepared = Awaited<ReturnType<typeof prepareDataset>>;
/**
 * An error loses its class between threads, and all but its message and stack, so a ConfigError is
 * sent as its problems, and others with what a system error has.
 */
type Message =
  | { prepared: Prepared }
  | { problems: readonly Problem[] }
  | { error: Error; details: Partial<NodeJS.ErrnoException> };
interface Job {
  prepareDataset: [PlannedDataset, string, string];
}

/**
 * Runs prepareDataset in a thread of its own, because tokenizing tens of thousands of rows on the
 * event loop would delay heartbeats for seconds.
 */
export function prepareDatasetInThread(
  dataset: PlannedDataset,
  backbonePath: string,
  root: string,
): Promise<Prepared> {
  const job: Job = { prepareDataset: [dataset, backbonePath, root] };
  const worker = new Worker(__filename, { workerData: job });
  return new Promise((resolve, reject) => {
    worker.once('message', (message: Message) => {
      if ('prepared' in message) resolve(message.prepared);
      else
        reject(
          'problems' in message
            ? new ConfigError(message.problems)
            : Object.assign(message.error, message.details),
        );
    });
    worker.once('error', reject);
    worker.once('exit', (code) =>
      reject(
        new Error(
          `the thread that prepares ${dataset.task} ended with status ${code} and no result`,
        ),
      ),
    );
  });
}

async function answer({ prepareDataset: [dataset, backbonePath, root] }: Job): Promise<Message> {
  try {
    return { prepared: await prepareDataset(dataset, backbonePath, root) };
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems };
    return { error: error as Error, details: { ...(error as NodeJS.ErrnoException) } };
  }
}

const job = workerData as Partial<Job> | null;
if (!isMainThread && job?.prepareDataset) {
  void answer(job as Job).then((message) => parentPort?.postMessage(message));
}
