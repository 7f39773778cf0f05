/**
 * Whatever is broken around a command, its user reads sentences, never a stack trace.
 *
 * SA_ORCH_FUZZ_TRIES and SA_ORCH_FUZZ_SEED choose more tries, or others; SA_ORCH_FUZZ_LOG names a
 * file for what each of them printed.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../orchestrator/base/seeded-random';
import {
  AS_NOBODY,
  COMMAND,
  handOver,
  makeTemplate,
  typeCommand,
  type Choice,
  type Try,
} from './broken-place';

const TRIES = Number(process.env.SA_ORCH_FUZZ_TRIES ?? 40);
const SEED = Number(process.env.SA_ORCH_FUZZ_SEED ?? 1);
const LIMIT_MS = 60_000;
const AT_ONCE = 4;

/** What --help says, and 130 for a command that was left. */
const STATUSES = [0, 1, 2, 3, 130];
const TRACES = /^\s+at .*[:(]|node:internal|Traceback|Node\.js v\d|fault of sa-orch/m;

interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

function choiceOf(seed: number): Choice {
  const random = seededRandom(seed);
  return {
    chance: (probability) => random() < probability,
    of: (list) => list[Math.floor(random() * list.length)]!,
  };
}

function runTry({ folder, args, env, before, redirections, asNobody }: Try): Promise<Ended> {
  const user = asNobody ? `setpriv ${AS_NOBODY.join(' ')} ` : '';
  // Its status goes through a descriptor of its own: that of a pipe is the last part's.
  const script = `${before}{ ${user}"$@" 3>&-; echo $? >&3; } ${redirections}`;
  const child = spawn('/bin/sh', ['-c', script, 'sh', process.execPath, COMMAND, ...args], {
    cwd: folder,
    env: { ...env, PATH: asNobody ? `${env.PATH}:/usr/bin:/bin` : env.PATH },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  child.stdin.end();
  const texts = ['', '', '', ''];
  for (const descriptor of [1, 2, 3])
    child.stdio[descriptor]!.on('data', (chunk: Buffer) => (texts[descriptor] += chunk.toString()));
  const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), LIMIT_MS);
  return new Promise((resolve) => {
    child.on('close', () => {
      clearTimeout(timer);
      const [, stdout = '', stderr = '', status] = texts;
      resolve({ status: status === '' ? null : Number(status), stdout, stderr });
    });
  });
}

/** What is wrong with how a command ended. */
function judge({ args, redirections }: Try, { status, stdout, stderr }: Ended): string[] {
  const isSilent = stderr.trim() === '' && !redirections.startsWith('2>');
  // What doctor finds is its output.
  const isFinding = args[0] === 'doctor' && status === 1;
  return [
    ...(TRACES.test(stdout + stderr) ? ['a stack trace, or a fault'] : []),
    ...(STATUSES.includes(status ?? -1) ? [] : [`status ${status}`]),
    ...(status !== 0 && isSilent && !isFinding ? ['nothing on stderr'] : []),
  ];
}

test(
  `${TRIES} commands in broken surroundings end with a sentence`,
  async () => {
    const work = mkdtempSync(join(tmpdir(), 'sa-orch-fuzz-'));
    chmodSync(work, 0o755);
    const found: unknown[] = [];
    try {
      const template = join(work, 'template');
      mkdirSync(template);
      const ids = await makeTemplate(template);
      const left = Array.from({ length: TRIES }, (_, i) => i);
      const lane = async (): Promise<void> => {
        for (let i = left.shift(); i !== undefined; i = left.shift()) {
          const folder = join(work, String(i));
          const typed = typeCommand(choiceOf(SEED * 100_000 + i), template, folder, ids);
          handOver(typed);
          const ended = await runTry(typed);
          const faults = judge(typed, ended);
          const { args, broken, env } = typed;
          if (process.env.SA_ORCH_FUZZ_LOG)
            appendFileSync(
              process.env.SA_ORCH_FUZZ_LOG,
              JSON.stringify({ i, args, broken, env, ...ended }) + '\n',
            );
          if (faults.length > 0) found.push({ i, faults, ...ended, args, broken, env });
          rmSync(folder, { recursive: true, force: true });
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, lane));
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
    expect(found).toEqual([]);
  },
  LIMIT_MS * Math.max(5, TRIES / 10),
);
