/** What the kernel says of processes, without asking them. */
import { readFileSync, readdirSync } from 'node:fs';

export function readResidentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) / 1024);
}

/** CPU time since the process began; the kernel counts in hundredths of a second. */
export function readCpuMs(pid: number): number {
  const fields = readStat(pid);
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

export function listChildren(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => parentOf(each) === pid);
}

/** Undefined if the process has ended meanwhile. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(readStat(pid)[1]);
  } catch {
    return undefined;
  }
}

/** The fields of /proc/<pid>/stat from the state on; the name before it may have spaces. */
const readStat = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^[^]*\) /, '')
    .split(' ');
