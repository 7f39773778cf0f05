/**
 * Identifies processes beyond their pid. A pid alone is not enough to signal a process, because the
 * process may be dead and its pid reused, or the file that names it may be on a disk that several
 * machines share. With its host and its start time, a pid means one process.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessIdentity {
  pid: number;
  /**
   * Opaque: equal only for the same process. On Linux the boot id and the start tick, elsewhere the
   * start date that `ps` prints.
   */
  started: string;
  /** Where it runs, as in HOST; undefined in files of older versions, which knew of one host. */
  host?: string;
}

/**
 * This host: SA_ORCH_HOST_ID, else its name. Not /etc/machine-id, which containers of one image and
 * cloned disks share and machines without a disk draw at each start. A laptop's name outside of
 * Linux may have its network's domain, which comes and goes.
 */
export const HOST =
  process.env.SA_ORCH_HOST_ID ||
  (process.platform === 'linux' ? hostname() : hostname().split('.')[0]!);

/** Identifies this boot of the machine; empty except on Linux. */
export const BOOT_ID =
  process.platform === 'linux'
    ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    : '';

/**
 * Identifies a living process; undefined if this pid has none, or only a zombie that nobody has
 * reaped.
 */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = process.platform === 'linux' ? startedOnLinux(pid) : startedByPs(pid);
  return started === undefined ? undefined : { pid, started, host: HOST };
}

function startedOnLinux(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The command name, in parentheses, may contain spaces, so fields are counted after it. State is
  // the 3rd field, start time the 22nd.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTick] = [fields[0], fields[19]];
  return state === 'Z' || state === 'X' || startTick === undefined
    ? undefined
    : `${BOOT_ID.slice(0, 8)}-${startTick}`;
}

function startedByPs(pid: number): string | undefined {
  try {
    const output = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [, state, date] = /^\s*(\S+)\s+(.+?)\s*$/.exec(output) ?? [];
    return state === undefined || state.startsWith('Z') ? undefined : date;
  } catch {
    return undefined;
  }
}

/** Whether the process is one of another host, of which nothing can be known here. */
export function isElsewhere(process: ProcessIdentity | null | undefined): boolean {
  return typeof process?.host === 'string' && process.host !== HOST;
}

/** Whether the process lives here, or is one of another host. */
export function mayBeAlive(
  process: ProcessIdentity | null | undefined,
): process is ProcessIdentity {
  return isElsewhere(process) || isAlive(process);
}

/**
 * Whether the process lives on this host; false also for a value from a file that is not an
 * identity.
 */
export function isAlive(process: ProcessIdentity | null | undefined): process is ProcessIdentity {
  if (process == null || isElsewhere(process)) return false;
  const now = identify(process.pid);
  return now !== undefined && now.started === process.started;
}

/** Signals exactly this process; returns false if it is gone. */
export function signalProcess(target: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/**
 * Sends SIGTERM, and SIGKILL if the process still lives after `graceMs`. Returns how it ended, when
 * it is gone.
 */
export async function terminate(
  target: ProcessIdentity,
  graceMs: number,
): Promise<'stopped' | 'killed' | 'gone'> {
  if (!signalProcess(target, 'SIGTERM')) return 'gone';
  if (await waitUntilGone(target, graceMs)) return 'stopped';
  signalProcess(target, 'SIGKILL');
  await waitUntilGone(target, 10_000);
  return 'killed';
}

async function waitUntilGone(target: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(target)) {
    if (Date.now() >= deadline) return false;
    await sleep(50);
  }
  return true;
}

/**
 * Finds a living process whose environment has `name=value`: a child that was started but not yet
 * recorded when its parent died.
 */
export function findByEnvironment(name: string, value: string): ProcessIdentity | undefined {
  const wanted = `${name}=${value}`;
  if (process.platform !== 'linux') {
    const lines = execFileSync('ps', ['eww', '-A', '-o', 'pid=,command='], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    }).split('\n');
    const pid = lines
      .find((line) => line.includes(wanted))
      ?.trim()
      .split(' ', 1)[0];
    return pid === undefined ? undefined : identify(Number(pid));
  }
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    try {
      if (readFileSync(`/proc/${entry}/environ`, 'utf8').split('\0').includes(wanted))
        return identify(Number(entry));
    } catch {
      // It has ended, or belongs to another user.
    }
  }
  return undefined;
}
