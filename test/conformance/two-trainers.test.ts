/** Two trainers on one artifact root, which are given the same trial. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Phase, type Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { Dataset, Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import {
  anyTrial,
  artifactOnDisk,
  checkpointAt,
  events,
  job,
  PRUNE,
  results,
  run,
  states,
  stepsTold,
  submit,
  train,
} from '../support/jobs';
import { stepsPerSecond } from '../support/speed';
import { writeTinyDataset } from '../support/tiny-dataset';
import { describeTrainer, TrainerPlace, type TrainerProcess } from '../support/trainer-process';

/** How long the first trainer works on the trial after its checkpoint at step 10. */
const SECONDS_LEFT = 2;

const waits = ({ kind }: Event) =>
  kind?.$case === 'progress' && kind.value.phase === Phase.PHASE_WAIT;

describeTrainer('two trainers on one artifact root', () => {
  let place: TrainerPlace;
  let other: TrainerPlace;
  let first: TrainerProcess;
  let second: TrainerProcess;
  let dataset: Dataset;
  let trialOf: (id: string) => Trial;
  let expected: string;

  const digest = (id: string) => artifactOnDisk(place.root, `trials/${id}/adapter`).digest;
  /** Everything in the trial's folder that is not one of its artifacts. */
  const strays = (id: string) =>
    readdirSync(join(place.root, 'trials', id), { recursive: true })
      .map(String)
      .filter((name) => /(^|\/)\.|\.lock/.test(name));

  beforeAll(async () => {
    place = new TrainerPlace();
    other = new TrainerPlace(place.root);
    dataset = writeTinyDataset(place.root);
    [first, second] = await Promise.all([place.start(), other.start()]);
    const { client } = first;
    const probe = anyTrial('probe');
    await run(client, job(dataset, [probe], PRUNE));
    const probed = await submit(client, job(dataset, [probe], train()));
    const left = Math.ceil(SECONDS_LEFT * stepsPerSecond(await events(client, probed)));
    trialOf = (id) => anyTrial(id, { train: { totalSteps: 10 + left } });
    await run(client, job(dataset, ['alone', 'turns', 'killed'].map(trialOf), PRUNE));
    await run(client, job(dataset, [trialOf('alone')], train()));
    // A trial's bytes do not depend on its id.
    expected = digest('alone');
  });
  afterAll(async () => {
    await other.remove();
    await place.remove();
  });

  /** Both train the trial: the first from now, the second once the first is at a checkpoint. */
  async function trainTwice(id: string): Promise<{ one: string; two: string; waiting: Event }> {
    const spec = job(dataset, [trialOf(id)], train());
    const one = await submit(first.client, spec);
    await events(first.client, one, checkpointAt(10));
    const two = await submit(second.client, spec);
    const waiting = (await events(second.client, two, waits)).at(-1)!;
    return { one, two, waiting };
  }

  test('take turns at a trial: the second says that it waits, and both end alike', async () => {
    const { one, two, waiting } = await trainTwice('turns');
    expect(waiting.kind).toMatchObject({
      value: {
        note: expect.stringMatching(
          /^waiting for trial turns: another trainer works on it \(process \d+\)$/,
        ) as string,
      },
    });
    for (const [{ client }, id] of [
      [first, one],
      [second, two],
    ] as const) {
      const whole = await events(client, id);
      expect(states(whole).at(-1)).toBe('SUCCEEDED');
      const { failure, artifacts } = results(whole).get('turns')!;
      expect([failure, artifacts[0]!.digest]).toEqual([undefined, expected]);
    }
    expect(strays('turns')).toEqual([]);
  });

  test('the second goes on from the checkpoint of a first that is killed', async () => {
    const { two } = await trainTwice('killed');
    await first.kill();
    const whole = await events(second.client, two);
    expect(states(whole)).toEqual(['QUEUED', 'RUNNING', 'SUCCEEDED']);
    expect(digest('killed')).toBe(expected);
    expect(Math.min(...stepsTold(whole))).toBeGreaterThan(10);
    expect(strays('killed')).toEqual([]);
  });
});
