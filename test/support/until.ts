/** Waiting in tests. */
import { setTimeout as sleep } from 'node:timers/promises';

const MS_BETWEEN_LOOKS = 20;

/** Waits until it holds; the test's own time limit ends it. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(MS_BETWEEN_LOOKS);
}
