/** Runs a service in the user's terminal, or in that of systemd, Slurm or a script. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { stopWithNpx, WRAPPER_VARIABLE } from '../../common/wrapper';

/** Sent by what stops a service, by a terminal that closes, and by Ctrl-C. */
const ENDING = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const;

/**
 * Runs a service with this terminal's input and output until it ends. Returns its exit status as a
 * shell would: 128 + the signal's number if it was killed.
 *
 * Whatever signal ends this process comes to the service as SIGTERM, at which it stops in order.
 * After a Ctrl-C, which a terminal sends to both, that changes nothing. If this process is killed,
 * the service finds out by itself (`stopWithWrapper`).
 */
export async function runInForeground(
  file: string,
  args: string[],
  env: Record<string, string | undefined>,
): Promise<number> {
  const child = spawn(file, args, {
    env: { ...process.env, ...env, [WRAPPER_VARIABLE]: String(process.pid) },
    stdio: 'inherit',
  });
  const stop = (): void => void child.kill('SIGTERM');
  for (const signal of ENDING) process.on(signal, stop);
  stopWithNpx(stop);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) =>
        resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']),
      );
    });
  } finally {
    for (const signal of ENDING) process.off(signal, stop);
  }
}
