import { Context } from '@temporalio/activity';

/** Heartbeats, for a timeout of 30 seconds, until the work ends. */
export async function beatDuring<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), 5000);
  try {
    return await work();
  } finally {
    clearInterval(beat);
  }
}
