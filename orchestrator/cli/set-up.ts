/** Ctrl-C while a command sets up what it needs. */
import { runtimeStatus } from '../runtime/status';
import { printNote } from './output';

/** The conventional exit status after SIGINT. */
export const INTERRUPTED = 130;

/**
 * Does some work during which Ctrl-C or SIGTERM end the command, with a word about the services
 * that run by then: they stay, because others may use them.
 *
 * @param done what is to be said first, as a sentence
 */
export async function setUpInterruptibly<T>(
  stateDir: string,
  done: () => string,
  work: () => Promise<T>,
): Promise<T> {
  const onInterrupt = (): void => {
    printNote(`\n${done()} ${describeServices(stateDir)}\n`);
    process.exit(INTERRUPTED);
  };
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);
  try {
    return await work();
  } finally {
    process.removeListener('SIGINT', onInterrupt);
    process.removeListener('SIGTERM', onInterrupt);
  }
}

function describeServices(stateDir: string): string {
  const running = runtimeStatus(stateDir).filter(({ pid }) => pid !== null);
  if (running.length === 0) return 'No service was started.';
  const names = running.map(({ name }) => name).join(', ');
  return `Services run in the background (${names}); \`sa-orch down\` stops them.`;
}
