/** A trainer without jobs frees what they needed, and works again afterwards. */
import type { Dataset } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { anyTrial, job, PRUNE, run, submit } from '../support/jobs';
import { writeTinyDataset } from '../support/tiny-dataset';
import {
  describeTrainer,
  spawnTrainer,
  TrainerPlace,
  TrainerProcess,
} from '../support/trainer-process';
import { until } from '../support/until';

/** Half a second. */
const UNLOAD_AFTER_MINUTES = '0.008';

describeTrainer('a trainer that has rested', () => {
  const place = new TrainerPlace();
  let trainer: TrainerProcess;
  afterAll(async () => {
    await trainer.kill();
    await place.remove();
  });

  const prune = (dataset: Dataset, name: string) => job(dataset, [anyTrial(name)], PRUNE);

  test('works on the next job, and ends with status 0 if it is stopped then', async () => {
    const dataset = writeTinyDataset(place.root);
    const child = spawnTrainer(place, ['--unload-after', UNLOAD_AFTER_MINUTES], { stderr: 'pipe' });
    let said = '';
    child.stderr!.on('data', (text: Buffer) => (said += text.toString()));
    // Once after the start, and once after each job.
    const hasRested = (times: number) =>
      until(() => Promise.resolve(said.split('idle for ').length > times));
    trainer = new TrainerProcess(place, child);
    await trainer.ready();
    await hasRested(1);
    await run(trainer.client, prune(dataset, 'first'));
    await hasRested(2);
    await run(trainer.client, prune(dataset, 'second'));
    await hasRested(3);
    await submit(trainer.client, prune(dataset, 'third'));
    expect(await trainer.stop()).toBe(0);
  });
});
