/** What a user does about room, time and logs: `clean`, `max_minutes` and `logs`, on a toy. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeTrainer, TrainerPlace, type TrainerProcess } from '../support/trainer-process';
import { Workplace } from '../support/workplace';

jest.setTimeout(400_000);

/** Demo rows: no files, and no hub to wait for. */
const OFFLINE = { HF_HUB_OFFLINE: '1', SA_ORCH_DATA: '' };
const sweep = (train: string) => `
name: room
tasks: [sst2]
rows: 16
validation_rows: 8
seeds: [1, 2]
adapter: {kind: head_only}
train: {steps: 6, batch_size: 2, ${train}}
`;

interface Cleaned {
  kinds: Record<string, { items: number; bytes: number }>;
  kept: { kind: string; reason: string }[];
  removed: { kind: string; path: string }[];
}

describeTrainer('a sweep on a toy', () => {
  let toys: TrainerPlace;
  let toy: TrainerProcess;
  let place: Workplace;
  beforeAll(async () => {
    toys = new TrainerPlace();
    place = new Workplace(join(toys.folder, 'place'), OFFLINE, toys.root);
    toy = await toys.start(['--state', join(place.stateDir, 'trainer')], 'toy');
    writeFileSync(join(place.folder, 'limited.yaml'), sweep('max_minutes: 1e-9'));
    writeFileSync(join(place.folder, 'free.yaml'), sweep('max_minutes: 60'));
  });
  afterAll(async () => {
    await place.down();
    await toys.remove();
  });

  const start = (file: string, ...more: string[]) =>
    place.run(['start', '--sweep', `./${file}`, '--trainer', toys.address, '--json', ...more]);
  const results = (stdout: string) =>
    (JSON.parse(stdout) as { results: { trial_id: string; status: string; error: string }[] })
      .results;
  const clean = async (...options: string[]): Promise<Cleaned> => {
    const { status, stdout, stderr } = await place.run(['clean', '--json', ...options]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return JSON.parse(stdout) as Cleaned;
  };

  test('whose time is up fails with the limit; a higher one goes on from there', async () => {
    const limited = await start('limited.yaml');
    expect(limited.status).toBe(1);
    for (const { status, error } of results(limited.stdout)) {
      expect(status).toBe('failed');
      expect(error).toMatch(
        /^time_limit: the time limit of 6e-8 s was reached at step [1-5] of 6;/,
      );
    }
    const free = await start('free.yaml', '--retry-failed');
    expect(free.status).toBe(0);
    expect(results(free.stdout).map(({ status }) => status)).toEqual(['done', 'done']);
  });

  test('tells what happened to it, to a trial, and what services wrote', async () => {
    const [trial] = readdirSync(join(place.root, 'trials'));
    const ofSweep = await place.run(['logs', 'room-']);
    expect(ofSweep.status).toBe(0);
    expect(ofSweep.stdout).toMatch(/ train {3}t\w+: failed: time_limit: the time limit of /);
    expect(ofSweep.stdout).toMatch(/ predict 2 trials: succeeded\n/);
    const ofTrial = await place.run(['logs', trial!, '--lines', '3', '--json']);
    const { lines } = JSON.parse(ofTrial.stdout) as { lines: string[] };
    expect(lines).toHaveLength(3);
    expect(lines[2]).toMatch(/^done, accuracy /);
    const ofService = await place.run(['logs', 'worker']);
    expect(ofService.stdout).toBe(
      `${join(place.stateDir, 'logs', 'worker.log')}\n` +
        readFileSync(join(place.stateDir, 'logs', 'worker.log'), 'utf8'),
    );
    expect(await place.run(['logs', 'trainer'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(`trainer at ${toys.address} was not started here`) as string,
    });
    expect(await place.run(['logs', 'wroker'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('did you mean "worker"?') as string,
    });
  });

  test('leaves nothing to others: `clean` asks, and takes what nothing needs', async () => {
    const [trial] = readdirSync(join(place.root, 'trials'));
    const checkpoints = join(place.root, 'trials', trial!, 'checkpoints');
    mkdirSync(join(checkpoints, 'step-6'), { recursive: true });
    writeFileSync(join(checkpoints, 'step-6', 'state.safetensors'), 'x'.repeat(100));
    const leftover = join(place.root, 'datasets', '.d.01234567-89ab-cdef-0123-456789abcdef');
    writeFileSync(leftover, 'half');
    utimesSync(leftover, 1, 1);
    expect(await place.run(['clean'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('removing needs --yes without a terminal') as string,
    });
    const dry = await clean('--dry-run');
    expect(dry.kinds).toMatchObject({
      checkpoints: { items: 1, bytes: 100 },
      predictions: { items: 2 },
      datasets: { items: 0 },
      leftovers: { items: 1, bytes: 4 },
      jobs: { items: 0 },
    });
    expect(dry.kept).toMatchObject([
      { kind: 'jobs', reason: expect.stringContaining('running') as string },
    ]);
    expect(existsSync(checkpoints)).toBe(true);

    const first = await clean('--yes');
    expect(first.removed).toHaveLength(4);
    expect([checkpoints, leftover].map(existsSync)).toEqual([false, false]);

    await toy.stop();
    expect((await clean('--yes')).kinds).toMatchObject({ jobs: { items: 5 } });
    expect(readdirSync(join(place.stateDir, 'trainer', 'jobs'))).toEqual([]);
    await toys.start(['--state', join(place.stateDir, 'trainer')], 'toy');
    const again = await start('free.yaml');
    expect(again.status).toBe(0);
    expect(results(again.stdout).map(({ status }) => status)).toEqual(['done', 'done']);
    expect((await clean('--dry-run')).kinds.predictions).toEqual({ items: 0, bytes: 0 });
  });

  test('`clean`, killed at any moment, leaves things whole or gone', async () => {
    const FILES = 200;
    const folder = (i: number) => join(place.root, 'datasets', `unused${i}`);
    for (let i = 0; i < 60; i++) {
      mkdirSync(folder(i));
      for (let file = 0; file < FILES; file++) writeFileSync(join(folder(i), String(file)), 'x');
    }
    const left = () => readdirSync(join(place.root, 'datasets')).filter((name) => /^un/.test(name));
    for (let i = 0; i < 3; i++) {
      const before = left().length;
      const cleaning = place.spawn(['clean', '--yes']);
      while (left().length === before && cleaning.child.exitCode === null) await sleep(1);
      await cleaning.kill();
      for (const name of left())
        expect(readdirSync(join(place.root, 'datasets', name))).toHaveLength(FILES);
    }
    await clean('--yes');
    expect(left()).toEqual([]);
  });
});
