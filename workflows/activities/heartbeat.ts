import { Context } from '@temporalio/activity';

/**
 * Heartbeats, for a timeout of 30 seconds, until the work ends. The signal says that nobody waits
 * for it any more, as after the workflow was terminated.
 */
export async function beatDuring<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), 5000);
  try {
    return await work(context.cancellationSignal);
  } finally {
    clearInterval(beat);
  }
}
