/** A sweep of which nothing is left to run has a report all the same. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFilmReviews } from '../support/film-reviews';
import { Workplace, type Ended } from '../support/workplace';
import { COMMAND } from './broken-place';

const START = ['start', '--sweep', './s.yaml'];

let folder: string;
let place: Workplace;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-known-'));
  place = new Workplace(folder, {
    HF_HUB_OFFLINE: '1',
    // As after the end of the session that it is named after.
    XDG_RUNTIME_DIR: join(folder, 'gone'),
  });
  writeFilmReviews(folder, { seeds: '[1, 2]' });
  const { status, stderr } = await place.run(START);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
afterAll(async () => {
  await place.down();
  rmSync(folder, { recursive: true, force: true });
});

/** Where a start says that its report is. */
function namedReport({ status, stdout }: Ended): string {
  expect(status).toBe(0);
  return /^report {2}(.*)$/m.exec(stdout)![1]!;
}

test('a part of the seeds is reported on without running anything', async () => {
  const path = namedReport(await place.run([...START, '--seeds', '1']));
  expect(readFileSync(path, 'utf8')).toMatch(/dense/);
});

test('with --json, the report that the document names is there, and its numbers', async () => {
  const { stdout } = await place.run([...START, '--seeds', '2', '--json']);
  const { report, results, state } = JSON.parse(stdout) as Record<'report' | 'state', string> & {
    results: unknown[];
  };
  expect(state).toBe('complete');
  expect(results).toHaveLength(1);
  for (const name of ['report.md', 'report.html', 'report.json', 'results.csv', 'plot.svg'])
    expect(existsSync(join(report, '..', name))).toBe(true);
});

test('a broken result hides nothing else from `status` and `history`', async () => {
  const { results } = JSON.parse((await place.run([...START, '--json'])).stdout) as {
    results: { trial_id: string }[];
  };
  const path = join(place.root, 'trials', results[0]!.trial_id, 'result.json');
  const before = readFileSync(path, 'utf8');
  writeFileSync(path, '{"bro');
  const status = await place.run(['status']);
  const history = await place.run(['history']);
  writeFileSync(path, before);
  expect(status.stdout).toMatch(/\ns-\w+ +unreadable +\S+result\.json: is not complete JSON/);
  expect(status.stdout).toMatch(/\ns-\w+ +complete +1 of 1 trials done\n/);
  expect(history.stdout).toMatch(
    / accuracy (.|\n)* unreadable (.|\n)*result\.json: is not complete JSON/,
  );
  expect([status.status, history.status]).toEqual([0, 0]);
});

test('a second name for the same trials gets a report of its own, with --detach, too', async () => {
  writeFileSync(join(folder, 'b.yaml'), readFileSync(join(folder, 's.yaml'), 'utf8'));
  const { stdout } = await place.run(['start', '--sweep', './b.yaml', '--detach', '--json']);
  const { sweep_id, state } = JSON.parse(stdout) as { sweep_id: string; state: string };
  expect(state).toBe('complete');
  expect(existsSync(join(place.root, 'sweeps', sweep_id, 'report.md'))).toBe(true);
});

test('a report that was deleted is written again by start, report and watch', async () => {
  const [, id] = /✓ sweep (\S+)/.exec((await place.run(START)).stdout)!;
  const path = join(place.root, 'sweeps', id!, 'report.md');
  const before = readFileSync(path, 'utf8');
  for (const args of [START, ['report', id!], ['watch', id!]]) {
    rmSync(path);
    expect((await place.run(args)).status).toBe(0);
    expect(readFileSync(path, 'utf8')).toBe(before);
  }
});

/** Types a command and stops reading once it has printed this. */
async function stopReading(args: string[], after: RegExp): Promise<Ended> {
  const { child, ended } = place.spawn(args);
  let read = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    read += chunk.toString();
    if (after.test(read)) child.stdout!.destroy();
  });
  return ended;
}

test('output that nobody reads any more ends a start that has submitted nothing', async () => {
  const { child, ended } = place.spawn([...START, '--seeds', '7']);
  child.stdout!.destroy();
  const { status, stderr } = await ended;
  expect(stderr).toMatch(/^error: nobody reads the output any more; nothing was submitted\n/);
  expect(status).toBe(2);
});

test('output that cannot be written ends a start that has submitted nothing', () => {
  const typed = ['-c', 'exec "$@" > /dev/full', 'sh', process.execPath, COMMAND];
  const { status, stderr } = spawnSync('/bin/sh', [...typed, ...START, '--seeds', '8'], {
    cwd: folder,
    env: place.env,
    encoding: 'utf8',
  });
  expect(stderr).toMatch(
    /^error: the output cannot be written: no space left .*; nothing was subm/,
  );
  expect(status).toBe(2);
});

test('output that nobody reads any more leaves a sweep that runs', async () => {
  const { status, stderr } = await stopReading([...START, '--seeds', '7'], /✓ sweep/);
  expect(stderr).toMatch(/^error: nobody reads the output any more; s-\w+ goes on\n.* follows it/);
  expect(status).toBe(130);
  // It does.
  const [, id] = /(s-\w+) goes on/.exec(stderr)!;
  const { stdout } = await place.run(['watch', id!]);
  expect(stdout).toMatch(/1 of 1 trials done/);
});
