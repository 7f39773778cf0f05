/** One sweep that is started twice at the same moment. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFilmReviews } from '../support/film-reviews';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { Workplace } from '../support/workplace';

const OFFLINE = { HF_HUB_OFFLINE: '1' };

/** The works of a sweep's jobs: each once, unless something ran twice. */
const listWorks = (root: string, sweepId: string) =>
  readdirSync(join(root, 'sweeps', sweepId, 'jobs'))
    .map((name) => /\.(\w+)-/.exec(name)![1])
    .sort();

describeTrainer('one sweep, started twice at once', () => {
  test('where nothing runs yet: one of them starts the services, both show the table', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sa-orch-twice-'));
    const place = new Workplace(folder, OFFLINE);
    try {
      writeFilmReviews(folder, { seeds: '1-2' });
      const both = await Promise.all([1, 2].map(() => place.run(['start', '--sweep', 's.yaml'])));
      for (const { status, stdout, stderr } of both) {
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
        expect(stdout).toMatch(/2 of 2 trials done\n\nreport/);
      }
      const said = both.map(({ stdout }) => stdout);
      const waits = /… services +process \d+ is starting them/;
      expect(said.filter((text) => waits.test(text))).toHaveLength(1);
      expect(said.filter((text) => /trials? in 1 cohort +Ctrl-C/.test(text))).toHaveLength(1);
      const id = place.sweepId();
      expect(readdirSync(join(place.root, 'sweeps'))).toEqual([id]);
      expect(readdirSync(join(place.root, 'trials'))).toHaveLength(2);
      expect(listWorks(place.root, id)).toEqual(['predict', 'prune', 'train']);
      const names = (await place.services()).map(({ name }) => name).sort();
      expect(names).toEqual(['supervisor', 'temporal', 'trainer', 'worker']);
    } finally {
      await place.down();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('from two folders with one root: the second joins, and the plan stays', async () => {
    const toys = new TrainerPlace();
    await toys.start([], 'toy');
    const one = new Workplace(join(toys.folder, 'one'), OFFLINE, toys.root);
    const other = new Workplace(join(toys.folder, 'other'), OFFLINE, toys.root);
    try {
      // So many that their plan takes a moment to write.
      for (const { folder } of [one, other])
        writeFilmReviews(folder, { adapter: '{ kind: head_only }', seeds: '1-60' });
      await one.run(['up', '--trainer', toys.address]);
      const start = ['start', '--sweep', 's.yaml', '--detach', '--state-dir', one.stateDir];
      const both = await Promise.all([one, other].map((place) => place.run(start)));
      for (const { status, stderr } of both)
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(both.filter(({ stdout }) => stdout.includes('already running'))).toHaveLength(1);
      // A sweep whose plan was replaced has failed by now.
      const id = one.sweepId();
      expect((await one.run(['cancel', id])).stdout).toMatch(/ is being cancelled/);
      expect((await one.run(['watch', id])).stderr).toMatch(/ cancelled\n$/);
    } finally {
      await one.down();
      await toys.remove();
    }
  });
});
