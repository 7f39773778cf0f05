/** What people do with a sweep besides waiting for it. */
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { writeFilmReviews } from '../support/film-reviews';
import { describeTrainer, TrainerPlace, type TrainerProcess } from '../support/trainer-process';
import { Workplace } from '../support/workplace';

jest.setTimeout(60_000);

const HEAD = { adapter: '{ kind: head_only }' };

describeTrainer('with a trainer of one’s own', () => {
  let toys: TrainerPlace;
  let trainer: TrainerProcess;
  let place: Workplace;
  beforeAll(async () => {
    toys = new TrainerPlace();
    trainer = await toys.start([], 'toy');
    place = new Workplace(join(toys.folder, 'place'), { HF_HUB_OFFLINE: '1' }, toys.root);
    writeFilmReviews(place.folder, { ...HEAD, name: 'long', seeds: '[1, 2]', steps: 500_000 });
    writeFilmReviews(place.folder, { ...HEAD, name: 'bad', seeds: '[3, 4]', learningRate: 1e38 });
  });
  afterAll(async () => {
    await place.down();
    await toys.remove();
  });

  const start = (name: string, ...options: string[]) =>
    place.run(['start', '--sweep', `${name}.yaml`, '--trainer', toys.address, ...options]);
  /** Types a command and returns its status and all that it says. */
  const type = async (...words: string[]) => {
    const { status, stdout, stderr } = await place.run(words);
    return [status, stdout + stderr] as const;
  };

  test('a sweep is paused, left, continued and cancelled, and each word fits', async () => {
    const detached = await start('long', '--detach');
    expect(detached.stdout).toMatch(/`\S+ \S+ watch long-\w+` follows it\n/);
    expect(detached.stdout).not.toContain('Ctrl-C');
    expect(await type('resume', 'long')).toEqual([0, expect.stringMatching(/is running already/)]);
    const watch = place.spawn(['watch', 'long', '--json']);
    await new Promise<void>((resolve) =>
      watch.child.stderr!.on('data', (chunk) => /· running/.test(String(chunk)) && resolve()),
    );
    watch.child.kill('SIGINT');
    const left = await watch.ended;
    expect(left.status).toBe(130);
    expect(JSON.parse(left.stdout)).toMatchObject({ state: 'running', report: null, results: [] });
    expect(await type('down')).toEqual([2, expect.stringMatching(/1 sweep is running: long-/)]);
    expect(await type('pause', 'lon')).toEqual([0, expect.stringMatching(/^long-\w+ paused; `/)]);
    expect(await type('pause', 'long')).toEqual([0, expect.stringMatching(/is paused already/)]);
    expect((await start('long', '--detach', '--retry-failed')).stdout).toMatch(
      /· retry +no trial of it has failed(.|\n)*but paused; `\S+ \S+ resume long-\w+` continues it/,
    );
    expect(await type('down')).toEqual([0, expect.stringMatching(/long-\w+ +stays paused; `/)]);
    const paused = /long-\w+ +paused +0 of 2 trials done +`.* up` and then `.* continue it\n/;
    expect(await type('status')).toEqual([0, expect.stringMatching(paused)]);
    await place.run(['up', '--trainer', toys.address]);
    expect(await type('resume', 'long')).toEqual([0, expect.stringMatching(/ resumed; /)]);
    expect(await type('cancel', 'long')).toEqual([0, expect.stringMatching(/ is being cancelled/)]);
    expect(await type('watch', 'long')).toEqual([
      1,
      expect.stringMatching(/long-\w+ cancelled\n$/),
    ]);
    expect(await type('cancel', 'long')).toEqual([
      0,
      expect.stringMatching(/was cancelled \(0 of/),
    ]);
    expect(await type('pause', 'long')).toEqual([2, expect.stringMatching(/nothing to pause/)]);
    expect(await type('status')).toEqual([0, expect.stringMatching(/long-\w+ +cancelled +0 of 2/)]);
    expect(await type('report', 'long')).toEqual([0, expect.stringMatching(/, 2 cancelled\n/)]);
    expect(await type('watch', 'nosuch')).toEqual([2, expect.stringMatching(/has the id nosuch/)]);
  });

  test('failed trials show their reason, and those that are named run again', async () => {
    const failed = await start('bad');
    expect(failed.status).toBe(1);
    const [, first, second] = /(t\w{7}) (t\w{7})$/m.exec(failed.stdout)!;
    expect(failed.stdout).toMatch(/ trials? \(t\w{7}.*\): non_finite: /);
    expect(failed.stdout).toMatch(/\S+ \S+ logs t\w{7}` says more; .* --retry <trial>/);
    const id = place.sweepId();
    const markdown = readFileSync(join(place.root, 'sweeps', id, 'report.md'), 'utf8');
    expect(markdown).toMatch(
      new RegExp(`## Trials, by seed\n\n- t, dense, .*: ${first}\\w+, ${second}`),
    );
    expect((await start('bad')).stdout).toContain('all results already exist');
    expect((await start('bad', '--retry', 'tzz')).stderr).toMatch(/no trial of bad-\w+ has the id/);
    const again = await start('bad', '--retry', `${first},${second!.slice(0, 5)}`);
    expect(again.stdout).not.toContain('all results already exist');
    expect(await type('cancel', 'bad')).toEqual([2, expect.stringMatching(/bad-\w+ has finished/)]);
  });

  test('a removed artifact root is named as such, and `down` mends it', async () => {
    await start('long', '--detach');
    // At once, as no removal is while a trainer writes.
    renameSync(place.root, `${place.root}-gone`);
    // A service that writes at this moment makes a new folder in its place.
    const said =
      /(is gone|is not the folder that it was): it was removed or replaced while the services /;
    expect(await start('long')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/`\S+ \S+ down` stops them/) as string,
    });
    expect(await type('status')).toEqual([0, expect.stringMatching(said)]);
    expect(await type('watch', 'long')).toEqual([
      expect.any(Number),
      expect.stringMatching(/were removed while it was running|has the id long/),
    ]);
    expect((await type('down'))[0]).toBe(0);
    await trainer.kill();
    trainer = await toys.start([], 'toy');
    writeFilmReviews(place.folder, { ...HEAD, name: 'short' });
    expect((await start('short')).status).toBe(0);
    const done = /(t\w{7})$/m.exec((await start('short')).stdout)![1]!;
    expect(await start('short', '--retry', done)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/is done, and finished trials are never rerun/) as string,
    });
  });
});
