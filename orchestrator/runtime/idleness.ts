/** Notices that services have had nothing to do for long, so that they may end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { plural } from '../base/plural';
import { DEFAULT_STOP_AFTER, type RuntimeConfig } from './runtime-config';
import { connectTo } from './temporal-client';

const IDLE = 'no sweep was open for';
const LONGEST_PAUSE_MS = 60_000;
const ANSWER_MS = 5000;

export interface IdlenessWatch {
  /** Somebody wants the services: begins to count anew. */
  restart(): void;
  stop(): void;
}

/**
 * Calls `onIdle`, with words that say why, once no sweep has been open for as long as the
 * configuration says. Services that are starting and a server that does not answer count as busy,
 * and so does a paused sweep. The clock stands still while a laptop sleeps.
 */
export function watchForIdleness(
  config: RuntimeConfig,
  isReady: () => boolean,
  onIdle: (words: string) => void,
): IdlenessWatch {
  const minutes = config.stopAfter ?? DEFAULT_STOP_AFTER;
  const limit = minutes * 60_000;
  const stopped = new AbortController();
  let since = performance.now();
  const watch = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await sleep(Math.min(LONGEST_PAUSE_MS, limit / 4), undefined, { signal: stopped.signal });
      const isBusy = !isReady() || (await hasOpenSweeps(config).catch(() => true));
      if (isBusy) since = performance.now();
      else if (performance.now() - since >= limit)
        return onIdle(`${IDLE} ${plural(minutes, 'minute')}`);
    }
  };
  // It rejects only if it is stopped while it sleeps.
  if (minutes > 0) watch().catch(() => undefined);
  return { restart: () => (since = performance.now()), stop: () => stopped.abort() };
}

/** Whether a service's recorded end is such words. */
export const isIdleness = (words: string): boolean => words.startsWith(IDLE);

async function hasOpenSweeps({ temporal, taskQueue }: RuntimeConfig): Promise<boolean> {
  const client = await connectTo(temporal, ANSWER_MS);
  try {
    const ours = temporal.kind === 'external' ? ` AND TaskQueue = '${taskQueue}'` : '';
    const query = `WorkflowType = 'sweep' AND ExecutionStatus = 'Running'${ours}`;
    const { count } = await client.withDeadline(Date.now() + ANSWER_MS, () =>
      client.workflow.count(query),
    );
    return count > 0;
  } finally {
    await client.connection.close();
  }
}
