/**
 * A service in a terminal has processes around it that only hand on its input and output:
 * `sa-orch trainer`, and before that npx with its shell. The service ends with them, even if they
 * are killed and cannot hand on a signal; otherwise it would keep its GPU after a batch job.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { identify, isAlive } from './process-identity';

/** Names the process that a service must not outlive. */
export const WRAPPER_VARIABLE = 'SA_ORCH_WRAPPER';

const MS_BETWEEN_LOOKS = 500;

/** In a service: calls `stop` once `sa-orch`, which started it in a terminal, is gone. */
export function stopWithWrapper(stop: () => void): void {
  const wrapper = Number(process.env[WRAPPER_VARIABLE]);
  if (!wrapper) return;
  if (process.ppid === wrapper) callOnce(() => process.ppid !== wrapper, stop);
  // It ended before this look; or something else stands between, whose end says nothing.
  else if (identify(wrapper) === undefined) stop();
}

/**
 * In `sa-orch`: calls `stop` once the npx that runs it is gone. npx neither hands on SIGHUP nor
 * waits for what its shell runs. Does nothing if this was not started by npm.
 */
export function stopWithNpx(stop: () => void): void {
  if (!process.env.npm_execpath) return;
  const parent = readProcess(process.ppid);
  const isShell = parent !== undefined && /^(ba|da|k|z)?sh$/.test(basename(parent.program));
  const around = [process.ppid, ...(isShell ? [parent.ppid] : [])]
    .map((pid) => identify(pid))
    // Another user's may be hidden.
    .filter((each) => each !== undefined);
  callOnce(() => around.some((each) => !isAlive(each)), stop);
}

function callOnce(isTime: () => boolean, call: () => void): void {
  const timer = setInterval(() => {
    if (!isTime()) return;
    clearInterval(timer);
    call();
  }, MS_BETWEEN_LOOKS);
  timer.unref();
}

function readProcess(pid: number): { ppid: number; program: string } | undefined {
  try {
    if (process.platform !== 'linux') {
      const line = execFileSync('ps', ['-o', 'ppid=,comm=', '-p', String(pid)])
        .toString()
        .trim();
      return { ppid: Number.parseInt(line), program: line.replace(/^\d+\s+/, '') };
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return {
      ppid: Number(ppid),
      program: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')),
    };
  } catch {
    return undefined;
  }
}
