/** Question answering and summarization: what a trainer keeps when it is stopped or killed. */
import type { Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { Phase } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { Dataset, JobSpec, Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { specDigest } from '../../orchestrator/trainer-client/spec';
import { lacking, testOf } from '../support/abilities';
import {
  artifactOnDisk,
  checkpointAt,
  events,
  expectGapless,
  job,
  predict,
  PRUNE,
  run,
  states,
  submit,
  train,
} from '../support/jobs';
import { rowsPerSecond, stepsPerSecond } from '../support/speed';
import { describeStartedTrainer } from '../support/started-trainer';
import { QUESTIONS, SUMMARIES, makeTrials } from '../support/task-kinds';
import { TrainerPlace } from '../support/trainer-process';

/** How long a trial trains beyond step 20, and predicts: time to be hit in the middle. */
const SECONDS_OF_TRAINING = 2;
const SECONDS_OF_PREDICTION = 1.5;

const predictsInTheMiddle = ({ kind }: Event) =>
  kind?.$case === 'progress' &&
  kind.value.phase === Phase.PHASE_PREDICT &&
  kind.value.done < kind.value.total;

describe.each([QUESTIONS, SUMMARIES])('$name', (kind) => {
  describeStartedTrainer('by a trainer', (here) => {
    const predictMany = predict(['many'], kind.generation);
    let path: string;
    /** As long as the trainer's speed asks for. */
    let trials: [Trial, Trial] = makeTrials(kind, 20);
    let many: number;
    /** A place with the data set, and jobs of the trials on it. */
    function newPlace(): { place: TrainerPlace; buildJob: (work: JobSpec['work']) => JobSpec } {
      const place = new TrainerPlace();
      const dataset = kind.dataset(place.root, many);
      return { place, buildJob: (work) => job(dataset, trials, work, path) };
    }
    const digests = (place: TrainerPlace) =>
      trials.flatMap(({ trialId }) =>
        ['adapter', 'predictions.many.safetensors'].map(
          (name) => artifactOnDisk(place.root, `trials/${trialId}/${name}`).digest,
        ),
      );

    beforeAll(async () => {
      if (lacking(trials, kind.taskKind).length > 0) return;
      path = kind.backbone(here.place.folder);
      await measure(kind.dataset(here.place.root, 200));
      const dataset = kind.dataset(here.place.root, many);
      for (const work of [PRUNE, train(), predictMany])
        await run(here.client, job(dataset, trials, work, path));
    });

    /** Sets steps and rows by what a trial like the longer one takes alone. */
    async function measure(dataset: Dataset): Promise<void> {
      const probe = [{ ...trials[1], trialId: 'probe' }];
      const tell = async (work: JobSpec['work']) =>
        events(here.client, await submit(here.client, job(dataset, probe, work, path)));
      await tell(PRUNE);
      const steps = SECONDS_OF_TRAINING * stepsPerSecond(await tell(train()));
      trials = makeTrials(kind, 20 + Math.ceil(steps));
      many = Math.ceil(SECONDS_OF_PREDICTION * rowsPerSecond(await tell(predictMany)));
    }

    const testListed = (title: string, body: () => Promise<void>) =>
      testOf(trials, title, body, kind.taskKind);

    testListed('comes to the same bytes when it is killed in training and prediction', async () => {
      const { place, buildJob } = newPlace();
      try {
        let trainer = await place.start();
        await run(trainer.client, buildJob(PRUNE));
        for (const [work, inTheMiddle] of [
          [train(), checkpointAt(20)],
          [predictMany, predictsInTheMiddle],
        ] as const) {
          const spec = buildJob(work);
          const id = await submit(trainer.client, spec);
          const seen = await events(trainer.client, id, inTheMiddle);
          await trainer.kill();
          trainer = await place.start();
          expect((await trainer.client.submitJob(id, specDigest(spec), spec)).created).toBe(false);
          const whole = await events(trainer.client, id);
          expectGapless(whole);
          expect(whole.slice(0, seen.length)).toEqual(seen);
          expect(states(whole)).toEqual([
            'QUEUED',
            'RUNNING',
            'INTERRUPTED',
            'QUEUED',
            'RUNNING',
            'SUCCEEDED',
          ]);
        }
        expect(digests(place)).toEqual(digests(here.place));
      } finally {
        await place.remove();
      }
    });

    testListed('comes to the same bytes when both are paused with CHECKPOINT', async () => {
      const { place, buildJob } = newPlace();
      try {
        const { client } = await place.start();
        await run(client, buildJob(PRUNE));
        const moves = ({ kind: each }: Event) => each?.$case === 'metrics';
        for (const [work, inTheMiddle] of [
          [train({ checkpointEverySteps: 0 }), moves],
          [predictMany, predictsInTheMiddle],
        ] as const) {
          const spec = buildJob(work);
          const id = await submit(client, spec);
          await events(client, id, inTheMiddle);
          await client.cancelJob(id, CancelMode.CANCEL_MODE_CHECKPOINT);
          const paused = await events(client, id);
          expect(states(paused)).toEqual(['QUEUED', 'RUNNING', 'INTERRUPTED']);
          expect(paused.some(checkpointAt(1))).toBe(work!.$case === 'train');
          await run(client, spec);
        }
        expect(digests(place)).toEqual(digests(here.place));
      } finally {
        await place.remove();
      }
    });
  });
});
