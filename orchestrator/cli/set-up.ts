/** Ctrl-C while a command sets up what it needs. */
import { endCommands } from '../runtime/run-command';
import { runtimeStatus } from '../runtime/status';
import { hasSpawnedSupervisor } from '../runtime/up';
import { printJsonError, printNote } from './output';

/** The conventional exit status after SIGINT. */
export const INTERRUPTED = 130;

/**
 * Does some work during which Ctrl-C or SIGTERM end the command, with a word about the services
 * that run by then: they stay, because others may use them.
 *
 * @param done what is to be said first, as a sentence
 * @param json whether a document on stdout says it, too
 */
export async function setUpInterruptibly<T>(
  stateDir: string,
  done: () => string,
  json: boolean,
  work: () => Promise<T>,
): Promise<T> {
  const onInterrupt = (): void => {
    const [what, services] = [done(), describeServices(stateDir)];
    if (json) printJsonError(what, services, INTERRUPTED);
    printNote(`\n${what} ${services}\n`);
    // An installer would go on alone; of a signal to this process only, it knows nothing.
    endCommands();
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
  let running: string[];
  try {
    running = runtimeStatus(stateDir).flatMap(({ name, pid }) => (pid === null ? [] : [name]));
  } catch {
    return '`sa-orch status` shows whether services run.';
  }
  if (running.length > 0)
    return `Services run in the background (${running.join(', ')}); \`sa-orch down\` stops them.`;
  return hasSpawnedSupervisor()
    ? 'Services are being started; `sa-orch down` stops them.'
    : 'No service was started.';
}
