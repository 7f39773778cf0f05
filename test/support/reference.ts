import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * What a Python script answers to JSON documents, one a line each way.
 *
 * @throws Error with the script's stderr where it fails, or where the numbers of lines differ
 */
export function askPython(python: string, args: readonly string[], lines: readonly unknown[], env: NodeJS.ProcessEnv = {}): unknown[] {
  const { status, stdout, stderr } = spawnSync(python, args, {
    input: lines.map((line) => JSON.stringify(line)).join('\n'),
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(stderr);
  const answers = stdout.trimEnd().split('\n');
  if (answers.length !== lines.length) throw new Error(`${lines.length} lines sent, ${answers.length} received`);
  return answers.map((answer) => JSON.parse(answer) as unknown);
}

/**
 * A Python script that answers one request after the other, one line of JSON each way: what it imports and opens takes its seconds once.
 * An answer is a rejection where the script has ended.
 */
export function openPython(python: string, args: readonly string[]) {
  const child = spawn(python, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(request: unknown): Promise<unknown> {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const answer = await answers.next();
      if (answer.done) throw new Error(`${args.join(' ')} has ended; its stderr is above`);
      return JSON.parse(answer.value) as unknown;
    },
    close: () => child.stdin.end(),
  };
}

/** `test`, or `test.skip` with a word on what is missing. */
export function testIf(what: string, wanted: Record<string, string | undefined>) {
  const missing = Object.keys(wanted).filter((key) => !wanted[key]);
  if (missing.length > 0) console.warn(`${what} is not tested in full: set ${missing.join(', ')}`);
  return missing.length > 0 ? test.skip : test;
}
