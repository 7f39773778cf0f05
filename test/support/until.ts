/** Waiting in tests. */
import { setTimeout as sleep } from 'node:timers/promises';

const MS_BETWEEN_LOOKS = 20;

/**
 * Waits until it holds.
 *
 * @param seconds after which it throws; if left out, the test's own time limit ends it
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  seconds = Infinity,
): Promise<void> {
  const deadline = Date.now() + 1000 * seconds;
  while (!(await holds())) {
    if (Date.now() > deadline)
      throw new Error(`still not so after ${seconds} s: ${holds.toString()}`);
    await sleep(MS_BETWEEN_LOOKS);
  }
}
