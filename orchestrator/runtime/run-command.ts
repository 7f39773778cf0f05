/** Runs a program to its end. */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, appendFileSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface CommandResult {
  /** The exit status; null if a signal ended it. */
  status: number | null;
  stdout: string;
  stderr: string;
  /** For people, after the program's name: `exited with status 1`. */
  end: string;
}

export interface CommandOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** stdout and stderr are also appended to this file. */
  log?: string;
  timeoutMs?: number;
}

/** Ctrl-C is not among them: a terminal sends it to both. */
const ENDING = ['SIGTERM', 'SIGHUP'] as const;

const running = new Set<ChildProcess>();

/** Tells every program that is being run to end, before this process exits. */
export function endCommands(): void {
  for (const child of running) child.kill('SIGTERM');
}

/**
 * Runs a program and collects what it prints. If it cannot be started, the status is null and
 * stderr says why.
 */
export async function runCommand(
  file: string,
  args: string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  // A process that is told to end would leave its installer at work. Before there is one, so that
  // no signal comes in between.
  const endBoth = (signal: NodeJS.Signals): void => {
    child.kill(signal);
    for (const each of ENDING) process.off(each, endBoth);
    process.kill(process.pid, signal);
  };
  for (const signal of ENDING) process.on(signal, endBoth);
  const child = spawn(file, args, {
    env: options.env,
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  // Not spawn's own timeout: if the program cannot be started, that timer still keeps this process
  // alive.
  const { timeoutMs } = options;
  let isLate = false;
  const stop = (): void => {
    isLate = true;
    child.kill();
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(stop, timeoutMs);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      // Synchronously, because our caller may read or remove the log as soon as we return.
      if (options.log !== undefined) appendFileSync(options.log, text);
    });
  }
  const ended = await new Promise<Pick<CommandResult, 'status' | 'end'>>((resolve) => {
    child.on('error', (error) => {
      output.stderr += error.message;
      resolve({ status: null, end: 'could not be started' });
    });
    child.on('close', (status, signal) => {
      if (isLate) resolve({ status, end: `did not end in ${timeoutMs! / 1000} s` });
      else if (signal) resolve({ status, end: `was ended by ${signal}` });
      else resolve({ status, end: `exited with status ${status}` });
    });
  });
  running.delete(child);
  clearTimeout(timer);
  for (const signal of ENDING) process.off(signal, endBoth);
  return { ...ended, ...output };
}

/** The absolute path of a program on PATH; undefined if there is none. */
export function findOnPath(
  program: string,
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    if (folder === '') continue;
    const candidate = join(folder, program);
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      // Not here.
    }
  }
  return undefined;
}
