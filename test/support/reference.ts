import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * What a Python script answers to JSON documents, one a line each way.
 *
 * @throws Error with the script's stderr where it fails, or where the numbers of lines differ
 */
export function askPython(
  python: string,
  args: readonly string[],
  lines: readonly unknown[],
  env: NodeJS.ProcessEnv = {},
): unknown[] {
  const { status, stdout, stderr } = spawnSync(python, args, {
    input: lines.map((line) => JSON.stringify(line)).join('\n'),
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(stderr);
  const answers = stdout.trimEnd().split('\n');
  if (answers.length !== lines.length)
    throw new Error(`${lines.length} lines sent, ${answers.length} received`);
  return answers.map((answer) => JSON.parse(answer) as unknown);
}

/**
 * A program that answers one request after the other, one line of JSON each way: what it imports
 * and opens takes its seconds once.
 */
export class AnsweringProgram {
  readonly child: ChildProcess;
  private readonly answers: AsyncIterator<string>;

  constructor(
    program: string,
    private readonly args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ) {
    this.child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.answers = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  /** Rejects where the program has ended. */
  async ask(request: unknown): Promise<unknown> {
    this.child.stdin!.write(`${JSON.stringify(request)}\n`);
    const answer = await this.answers.next();
    if (answer.done) throw new Error(`${this.args.join(' ')} has ended; its stderr is above`);
    return JSON.parse(answer.value) as unknown;
  }

  stop(): void {
    this.child.kill();
  }
}

/** `test`, or `test.skip` with a word on what is missing. */
export function testIf(what: string, wanted: Record<string, string | undefined>) {
  const missing = Object.keys(wanted).filter((key) => !wanted[key]);
  if (missing.length > 0) console.warn(`${what} is not tested in full: set ${missing.join(', ')}`);
  return missing.length > 0 ? test.skip : test;
}
