import { spawnSync } from 'node:child_process';

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

/** `test`, or `test.skip` with a word on what is missing. */
export function testIf(what: string, wanted: Record<string, string | undefined>) {
  const missing = Object.keys(wanted).filter((key) => !wanted[key]);
  if (missing.length > 0) console.warn(`${what} is not tested in full: set ${missing.join(', ')}`);
  return missing.length > 0 ? test.skip : test;
}
