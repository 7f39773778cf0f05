/** A state folder that trainers of two frameworks use, as `start --framework` makes them where services were stopped in between. */
import { AttentionModule, FfnModule, Pruner } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { events, job, PRUNE, states, submit, trial } from '../support/jobs';
import { writeTinyDataset } from '../support/tiny-dataset';
import { describeTrainer, refusedTrainer, TrainerPlace } from '../support/trainer-process';

/** The least, which every trainer does. */
const HEAD_ALONE = trial('head', {
  adapter: {
    attention: AttentionModule.ATTENTION_MODULE_NONE,
    ffn: FfnModule.FFN_MODULE_NONE,
    ...{ attentionBottleneck: 0, ffnBottleneck: 0 },
  },
  prune: { pruner: Pruner.PRUNER_NONE, sparsity: 0 },
});

describeTrainer('a state folder of two frameworks', () => {
  const place = new TrainerPlace();
  afterAll(() => place.remove());

  test('is kept from the one while the other lives, and handed over with its jobs once that is dead', async () => {
    const expectRefused = async (name: 'default' | 'toy', holder: number) => {
      const { status, stderr } = await refusedTrainer(place, [], name);
      expect(stderr).toContain(`another trainer (pid ${holder}) already uses the state folder`);
      expect(status).toBe(2);
    };
    const first = await place.start([], 'default');
    const id = await submit(first.client, job(writeTinyDataset(place.root), [HEAD_ALONE], PRUNE));
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
