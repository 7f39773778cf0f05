/** Lets work tidy up when a signal ends its command. */
import { UserError } from '../base/errors';

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Aborts the work's signal when this process is told to end, and ends it as it was told once the
 * work has ended. A signal that comes again changes nothing.
 */
export async function tidyOnInterrupt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const abort = (name: NodeJS.Signals): void => {
    received ??= name;
    controller.abort(new UserError(`interrupted by ${name}`, 1));
  };
  for (const each of ENDING) process.on(each, abort);
  try {
    return await work(controller.signal);
  } finally {
    for (const each of ENDING) process.off(each, abort);
    if (received !== undefined) process.kill(process.pid, received);
  }
}
