/** The memory of a process, on Linux. */
import { readFileSync } from 'node:fs';

export function residentBytes(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (!found) throw new Error(`process ${pid} has no memory: it has ended`);
  return Number(found[1]) * 1024;
}
