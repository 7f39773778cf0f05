/** What every trainer does while the disk of its artifact root is full. */
import { mkdirSync } from 'node:fs';
import { JobState } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { Dataset } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import type { TrainerClient } from '../../orchestrator/trainer-client/client';
import { anyTrial, checkpointAt, events, job, PRUNE, run, submit, train } from '../support/jobs';
import { SmallDisk, whyNoSmallDisk } from '../support/small-disk';
import { writeTinyDataset } from '../support/tiny-dataset';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';

/** Hours of work: only to be stopped. */
const ENDLESS = anyTrial('endless', { train: { totalSteps: 1_000_000 } });
const why = whyNoSmallDisk();

describeTrainer(`a trainer whose disk is full${why ? ` (skipped: ${why})` : ''}`, () => {
  const place = new TrainerPlace();
  let disk: SmallDisk;
  let dataset: Dataset;
  let client: TrainerClient;
  const testOnDisk = why ? test.skip : test;
  beforeAll(async () => {
    if (why) return;
    mkdirSync(place.root);
    disk = new SmallDisk(place.root, 128);
    dataset = writeTinyDataset(place.root);
    ({ client } = await place.start());
    await run(client, job(dataset, [ENDLESS], PRUNE));
  });
  afterAll(async () => {
    if (!why) disk.unmount();
    await place.remove();
  });

  /** What the job says that it waits for, in a heartbeat. */
  async function waitsFor(id: string): Promise<string> {
    for await (const { payload } of client.watchJob(id))
      if (payload?.$case === 'heartbeat' && payload.value.waitingFor !== '')
        return payload.value.waitingFor;
    throw new Error('the job ended');
  }

  testOnDisk('waits, says so, can be stopped, and goes on once there is room', async () => {
    const spec = job(dataset, [ENDLESS], train({ checkpointEverySteps: 1 }));
    const [paused, cancelled] = [await submit(client, spec), await submit(client, spec, 2)];
    await events(client, paused, checkpointAt(1));
    disk.fill();
    expect(await waitsFor(paused)).toMatch(/no room on the disk of .*: 0 MB free/);
    await client.cancelJob(paused, CancelMode.CANCEL_MODE_CHECKPOINT);
    await events(client, paused);
    expect((await client.getJob(paused)).state).toBe(JobState.JOB_STATE_INTERRUPTED);

    await waitsFor(cancelled);
    await client.cancelJob(cancelled, CancelMode.CANCEL_MODE_ABORT);
    await events(client, cancelled);
    expect((await client.getJob(cancelled)).state).toBe(JobState.JOB_STATE_CANCELLED);

    await submit(client, spec);
    await waitsFor(paused);
    const { lastSequence } = await client.getJob(paused);
    disk.free();
    const { step } = await nextCheckpoint(paused, lastSequence);
    expect(step).toBeGreaterThan(1);
  });

  async function nextCheckpoint(id: string, afterSequence: number): Promise<{ step: number }> {
    const { logId } = await client.getJob(id);
    for await (const { payload } of client.watchJob(id, { afterSequence, logId }))
      if (payload?.$case === 'event' && payload.value.kind?.$case === 'checkpointWritten')
        return payload.value.kind.value;
    throw new Error('the job ended');
  }
});
