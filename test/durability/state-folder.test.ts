/**
 * A state folder that trainers of two frameworks use, as `start --framework` makes them where
 * services were stopped in between.
 */
import { events, HEAD_ALONE, job, PRUNE, states, submit, trial } from '../support/jobs';
import { writeTinyDataset } from '../support/tiny-dataset';
import { describeTrainer, refusedTrainer, TrainerPlace } from '../support/trainer-process';

describeTrainer('a state folder of two frameworks', () => {
  const place = new TrainerPlace();
  afterAll(() => place.remove());

  test('is locked while the one lives, then passes to the other with its jobs', async () => {
    const expectRefused = async (name: 'default' | 'toy', holder: number) => {
      const { status, stderr } = await refusedTrainer(place, [], name);
      expect(stderr).toContain(`another trainer (process ${holder}, since `);
      expect(stderr).toContain('already uses the state folder');
      expect(status).toBe(2);
    };
    const first = await place.start([], 'default');
    const id = await submit(
      first.client,
      job(writeTinyDataset(place.root), [trial('head', HEAD_ALONE)], PRUNE),
    );
    const told = await events(first.client, id);
    expect(states(told).at(-1)).toBe('SUCCEEDED');
    await expectRefused('toy', first.pid);
    await first.kill();

    const second = await place.start([], 'toy');
    expect(await events(second.client, id)).toEqual(told);
    await expectRefused('default', second.pid);
    await second.kill();

    const third = await place.start([], 'default');
    expect(await events(third.client, id)).toEqual(told);
  });
});
