/**
 * `sa-orch trainer` in a script or a batch job: it is listed in its root while it lives, and ends
 * with whatever runs it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../common/package';
import { readTrainers } from '../../orchestrator/trainer-client/registry';

const COMMAND = join(packageRoot(), 'bin', 'sa-orch.js');

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-terminal-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Processes whose command line names this folder: of the trainer, and of what runs it. */
function listProcesses(place: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(place);
    } catch {
      return false;
    }
  });
}

async function untilItListens(wrapper: ChildProcess): Promise<void> {
  for await (const line of createInterface({ input: wrapper.stdout! }))
    if (line.includes('"listening"')) return;
  throw new Error('the trainer ended before it listened');
}

const WRAPPERS: [string, string, string[], NodeJS.Signals, number | null][] = [
  ['torch', 'sa-orch', [process.execPath, COMMAND], 'SIGKILL', null],
  ['tfjs', 'sa-orch', [process.execPath, COMMAND], 'SIGHUP', 0],
  ['tfjs', 'sa-orch', [process.execPath, COMMAND], 'SIGTERM', 0],
  ['tfjs', 'sa-orch', [process.execPath, COMMAND], 'SIGINT', 0],
  ['tfjs', 'sa-orch', [process.execPath, COMMAND], 'SIGKILL', null],
  // As npx runs it: a process of npm's, which hands on nothing, and a shell.
  ['tfjs', 'npx', ['npm', 'exec', '--', 'sa-orch'], 'SIGTERM', null],
  ['tfjs', 'npx', ['npm', 'exec', '--', 'sa-orch'], 'SIGHUP', null],
];

test.each(WRAPPERS)('a trainer, %s, ends with its %s: %j, %s', async (...row) => {
  const [framework, , [program, ...words], signal, status] = row;
  const place = mkdtempSync(join(folder, 'at-'));
  const where = ['--listen', `unix:${place}/t.sock`, '--root', place, '--state-dir', place];
  const how = ['--framework', framework, '--threads', '1', '--register'];
  const typed = [...words, 'trainer', ...how, ...where];
  const wrapper = spawn(program!, typed, {
    cwd: packageRoot(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = new Promise<number | null>((resolve) => wrapper.on('exit', resolve));
  await untilItListens(wrapper);
  expect(listProcesses(place).length).toBeGreaterThan(1);
  const address = `unix:${place}/t.sock`;
  expect(await readTrainers(place)).toMatchObject({ trainers: [{ address }], problems: [] });
  wrapper.kill(signal);
  const code = await ended;
  if (status !== null) expect(code).toBe(status);
  for (let looks = 0; listProcesses(place).length > 0 && looks < 100; looks++) await sleep(200);
  expect(listProcesses(place)).toEqual([]);
  expect(await readTrainers(place)).toEqual({ trainers: [], problems: [] });
});
