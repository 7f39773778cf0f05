/** Shell scripts that run as processes until they are killed. */
import { spawn, type ChildProcess } from 'node:child_process';

/** `start` runs a script in sh; `killAll` kills what it has started. */
export function shellProcesses() {
  const children: ChildProcess[] = [];

  function start(script: string, env: Record<string, string> = {}): ChildProcess & { pid: number } {
    const child = spawn('sh', ['-c', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, ...env },
    });
    children.push(child);
    if (child.pid === undefined) throw new Error('sh did not start');
    return child as ChildProcess & { pid: number };
  }

  function killAll(): void {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  }

  return { start, killAll };
}
