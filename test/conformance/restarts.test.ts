/** What every trainer keeps when it is stopped, killed or asked for too much. */
import { setTimeout as sleep } from 'node:timers/promises';
import { JobState, type Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { Dataset, Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { jobId, specDigest } from '../../orchestrator/trainer-client/spec';
import {
  anyTrial,
  artifactOnDisk,
  brings,
  checkpointAt,
  events,
  expectGapless,
  job,
  predict,
  PRUNE,
  run,
  states,
  stepsTold,
  submit,
  train,
} from '../support/jobs';
import { stepsPerSecond } from '../support/speed';
import { writeTinyDataset } from '../support/tiny-dataset';
import { describeTrainer, refusedTrainer, TrainerPlace } from '../support/trainer-process';

/** Hours of work: only to be stopped. */
const ENDLESS = anyTrial('endless', { train: { totalSteps: 1_000_000 } });

const adapterDigest = (place: TrainerPlace) =>
  artifactOnDisk(place.root, 'trials/long/adapter').digest;

/** A trial that is stopped at step 30 at the latest has so many seconds of work left. */
const SECONDS_LEFT = 2;

describeTrainer('a trainer that is stopped or killed', () => {
  const places: TrainerPlace[] = [];
  let dataset: Dataset;
  let long: Trial;
  let expected: string;

  function newPlace(): TrainerPlace {
    const place = new TrainerPlace();
    places.push(place);
    dataset = writeTinyDataset(place.root);
    return place;
  }

  beforeAll(async () => {
    const place = newPlace();
    const { client } = await place.start();
    const probe = anyTrial('probe');
    await run(client, job(dataset, [probe], PRUNE));
    const id = await submit(client, job(dataset, [probe], train()));
    const stepsLeft = Math.ceil(SECONDS_LEFT * stepsPerSecond(await events(client, id)));
    long = anyTrial('long', { train: { totalSteps: 30 + stepsLeft } });
    await run(client, job(dataset, [long], PRUNE));
    await run(client, job(dataset, [long], train()));
    expected = adapterDigest(place);
  });
  afterEach(async () => {
    for (const place of places.splice(0)) await place.remove();
  });

  test('resumes from its checkpoint after kill -9: the same log, the same adapter', async () => {
    const place = newPlace();
    const first = await place.start();
    await run(first.client, job(dataset, [long], PRUNE));
    const spec = job(dataset, [long], train());
    const id = await submit(first.client, spec);
    const seen = await events(first.client, id, checkpointAt(30));
    await first.kill();

    const second = await place.start();
    expect((await second.client.getJob(id)).state).toBe(JobState.JOB_STATE_INTERRUPTED);
    expect((await events(second.client, id)).slice(0, seen.length)).toEqual(seen);
    expect((await second.client.submitJob(id, specDigest(spec), spec)).created).toBe(false);
    const whole = await events(second.client, id);
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
    expect((await second.client.getJob(id)).runs).toBe(2);
    expect(Math.min(...stepsTold(whole.slice(seen.length)))).toBeGreaterThan(30);
    expect(adapterDigest(place)).toBe(expected);
  });

  test('comes to the same when killed before a rung, and after predictions at it', async () => {
    const place = newPlace();
    const rung = job(dataset, [long], train({ untilStep: 25 }));
    const predictions = job(dataset, [long], predict(['validation'], undefined, 25));
    const first = await place.start();
    await run(first.client, job(dataset, [long], PRUNE));
    const id = await submit(first.client, rung);
    await events(first.client, id, checkpointAt(10));
    await first.kill();

    const second = await place.start();
    await second.client.submitJob(id, specDigest(rung), rung);
    await events(second.client, id);
    await run(second.client, predictions);
    const name = 'trials/long/predictions.validation.step25.safetensors';
    const { digest } = artifactOnDisk(place.root, name);
    const rest = job(dataset, [long], train());
    const last = await submit(second.client, rest);
    await events(second.client, last, checkpointAt(30));
    await second.kill();

    const third = await place.start();
    await third.client.submitJob(last, specDigest(rest), rest);
    await events(third.client, last);
    expect(adapterDigest(place)).toBe(expected);
    expect(artifactOnDisk(place.root, name).digest).toBe(digest);
  });

  test('is followed by one watch across its death and restart', async () => {
    const place = newPlace();
    const first = await place.start();
    await run(first.client, job(dataset, [long], PRUNE));
    const id = await submit(first.client, job(dataset, [long], train()));
    const found: Event[] = [];
    let restarted: Promise<unknown> | undefined;
    for await (const { payload } of first.client.watchJob(id, { patienceSeconds: 60 })) {
      if (payload?.$case !== 'event') continue;
      found.push(payload.value);
      if (!restarted && checkpointAt(20)(payload.value)) {
        process.kill(first.pid, 'SIGKILL');
        restarted = place.start();
      }
    }
    await restarted;
    expectGapless(found);
    expect(states(found)).toEqual(['QUEUED', 'RUNNING', 'INTERRUPTED']);
  });

  test('writes checkpoints by time, too, which change nothing', async () => {
    const place = newPlace();
    const { client } = await place.start();
    await run(client, job(dataset, [long], PRUNE));
    const byTime = train({ checkpointEverySteps: 0, checkpointSeconds: 0.001 });
    const found = await events(client, await submit(client, job(dataset, [long], byTime)));
    const steps = found.flatMap(({ kind }) =>
      kind?.$case === 'checkpointWritten' ? [kind.value.step] : [],
    );
    expect(steps.length).toBeGreaterThan(1);
    expect(adapterDigest(place)).toBe(expected);
  });

  test('stops on SIGTERM at a checkpoint with status 0; resumes to the same adapter', async () => {
    const place = newPlace();
    const first = await place.start();
    await run(first.client, job(dataset, [long], PRUNE));
    const spec = job(dataset, [long], train({ checkpointEverySteps: 0 }));
    await events(
      first.client,
      await submit(first.client, spec),
      ({ kind }) => kind?.$case === 'metrics',
    );
    expect(await first.stop()).toBe(0);

    const second = await place.start();
    const stopped = await events(second.client, jobId(specDigest(spec), 1));
    expect(states(stopped)).toEqual(['QUEUED', 'RUNNING', 'INTERRUPTED']);
    expect(stopped.some(checkpointAt(1))).toBe(true);
    await run(second.client, spec);
    expect(adapterDigest(place)).toBe(expected);
  });

  test('pauses with CHECKPOINT, and resumes to the same adapter when submitted again', async () => {
    const place = newPlace();
    const { client } = await place.start();
    await run(client, job(dataset, [long], PRUNE));
    const spec = job(dataset, [long], train({ checkpointEverySteps: 0 }));
    const id = await submit(client, spec);
    await events(client, id, ({ kind }) => kind?.$case === 'metrics');
    await client.cancelJob(id, CancelMode.CANCEL_MODE_CHECKPOINT);
    const paused = await events(client, id);
    expect(states(paused)).toEqual(['QUEUED', 'RUNNING', 'INTERRUPTED']);
    expect(paused.some(checkpointAt(1))).toBe(true);
    await run(client, spec);
    expect(adapterDigest(place)).toBe(expected);
  });

  describe('or busy', () => {
    test('cancels with ABORT, which is final, also for jobs that wait or are paused', async () => {
      const place = newPlace();
      const { client } = await place.start();
      await run(client, job(dataset, [ENDLESS], PRUNE));
      const spec = job(dataset, [ENDLESS], train());
      const running = await submit(client, spec);
      const [waiting, paused] = [await submit(client, spec, 2), await submit(client, spec, 3)];
      await events(client, running, brings(JobState.JOB_STATE_RUNNING));
      await client.cancelJob(paused, CancelMode.CANCEL_MODE_CHECKPOINT);
      expect((await client.getJob(paused)).state).toBe(JobState.JOB_STATE_INTERRUPTED);
      for (const id of [paused, waiting, running]) {
        await client.cancelJob(id, CancelMode.CANCEL_MODE_ABORT);
        expect(states(await events(client, id)).at(-1)).toBe('CANCELLED');
        // No effect on a job that has ended.
        expect((await client.cancelJob(id, CancelMode.CANCEL_MODE_CHECKPOINT)).state).toBe(
          JobState.JOB_STATE_CANCELLED,
        );
      }
      expect((await client.submitJob(running, specDigest(spec), spec)).job.state).toBe(
        JobState.JOB_STATE_CANCELLED,
      );
    });

    test('answers a full queue with a time to retry, a waiting job with heartbeats', async () => {
      const place = newPlace();
      const { client } = await place.start();
      await run(client, job(dataset, [ENDLESS], PRUNE));
      const spec = job(dataset, [ENDLESS], train());
      const running = await submit(client, spec);
      await events(client, running, brings(JobState.JOB_STATE_RUNNING));
      await submit(client, spec, 2);
      const last = await submit(client, spec, 3);
      expect((await client.getJob(last)).queuePosition).toBeGreaterThan(0);
      await expect(submit(client, spec, 4)).rejects.toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        queueFull: true,
        refused: false,
      });
      await expect(submit(client, spec, 4)).rejects.toHaveProperty(
        'retryAfterMs',
        expect.any(Number),
      );
      for await (const { payload } of client.watchJob(last)) {
        if (payload?.$case !== 'heartbeat') continue;
        expect(payload.value).toMatchObject({ state: JobState.JOB_STATE_QUEUED, lastSequence: 1 });
        expect(payload.value.queuePosition).toBeGreaterThan(0);
        break;
      }
    });

    test('keeps its socket and its jobs from a second trainer, which is refused', async () => {
      const place = newPlace();
      const { client } = await place.start();
      expect((await refusedTrainer(place, [])).status).toBeGreaterThan(0);
      await sleep(500);
      expect((await client.getCapabilities()).protocolVersion).toBe(1);
    });
  });
});
