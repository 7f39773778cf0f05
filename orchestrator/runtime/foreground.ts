/** Runs a service in the user's terminal. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/**
 * Runs a program with this terminal's input and output until it ends, and forwards signals. (Ctrl-C
 * in a terminal reaches it anyway.) Returns its exit status as a shell would: 128 + the signal's
 * number if it was killed.
 */
export async function runInForeground(
  file: string,
  args: string[],
  env: Record<string, string | undefined>,
): Promise<number> {
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: 'inherit' });
  const handOn = (signal: NodeJS.Signals): void => void child.kill(signal);
  // Without a listener, Ctrl-C would end this process before its child.
  const onInterrupt = process.stdin.isTTY ? (): void => undefined : handOn;
  process.on('SIGTERM', handOn).on('SIGHUP', handOn).on('SIGINT', onInterrupt);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) =>
        resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']),
      );
    });
  } finally {
    process.off('SIGTERM', handOn).off('SIGHUP', handOn).off('SIGINT', onInterrupt);
  }
}
