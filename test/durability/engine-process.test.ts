/** A trainer on trainer/host whose engine's process dies, or whose own process does. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { FailureReason, JobState, type Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { Dataset, JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { identify, isAlive } from '../../common/process-identity';
import { specDigest } from '../../orchestrator/trainer-client/spec';
import {
  brings,
  events,
  HEAD_ALONE,
  job,
  PRUNE,
  run,
  states,
  submit,
  train,
  trial,
} from '../support/jobs';
import { writeTinyDataset } from '../support/tiny-dataset';
import { TrainerPlace, type TrainerProcess } from '../support/trainer-process';
import { trainerCommand } from '../support/trainers';

/** Hours of work for the toy. */
const ENDLESS = trial('endless', { ...HEAD_ALONE, train: { totalSteps: 1_000_000 } });

const command = trainerCommand('toy');
const describeHere = 'missing' in command ? describe.skip : describe;

/** The engine's process: the trainer's only child. Waits for it where it is being started. */
async function findEngine({ pid }: TrainerProcess): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      return Number(execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }));
    } catch {
      await sleep(50);
    }
  }
  throw new Error('the trainer has no engine');
}

describeHere('a trainer whose engine dies', () => {
  let place: TrainerPlace;
  let dataset: Dataset;
  let spec: JobSpec;
  let trainer: TrainerProcess;
  beforeEach(async () => {
    place = new TrainerPlace();
    dataset = writeTinyDataset(place.root);
    trainer = await place.start([], 'toy');
    await run(trainer.client, job(dataset, [ENDLESS], PRUNE));
    spec = job(dataset, [ENDLESS], train({ checkpointEverySteps: 0 }));
  });
  afterEach(() => place.remove());

  /** Submits the job, kills the engine in mid-run and returns the job's events. */
  async function killInRun(
    work: JobSpec,
    until: (event: Event) => boolean = brings(JobState.JOB_STATE_RUNNING),
  ): Promise<Event[]> {
    const { job: submitted } = await trainer.client.submitJob('killed', specDigest(spec), work);
    for await (const { payload } of trainer.client.watchJob('killed', {
      afterSequence: submitted.lastSequence,
      logId: submitted.logId,
    }))
      if (payload?.$case === 'event' && until(payload.value)) break;
    process.kill(await findEngine(trainer), 'SIGKILL');
    return events(trainer.client, 'killed');
  }

  test('goes on serving: the job is INTERRUPTED, another engine takes the next one', async () => {
    expect(states(await killInRun(spec)).at(-1)).toBe('INTERRUPTED');
    await run(trainer.client, job(dataset, [{ ...ENDLESS, trialId: 'next' }], PRUNE));
  });

  test('gives a job up after three such deaths', async () => {
    for (let death = 1; death <= 2; death++)
      expect(states(await killInRun(spec)).at(-1)).toBe('INTERRUPTED');
    expect(states(await killInRun(spec)).at(-1)).toBe('FAILED');
    expect(await trainer.client.getJob('killed')).toMatchObject({
      runs: 3,
      failure: { reason: FailureReason.FAILURE_REASON_QUARANTINED },
    });
  });

  test('restarts it once if it is stuck; stuck again, the job has failed', async () => {
    await trainer.kill();
    trainer = await place.start(['--stall-after', '1'], 'toy');
    const freeze = async (): Promise<Event[]> => {
      await trainer.client.submitJob('stuck', specDigest(spec), spec);
      const all = trainer.client.watchJob('stuck');
      let seen = 0;
      for await (const { payload } of all)
        if (payload?.$case === 'event' && brings(JobState.JOB_STATE_RUNNING)(payload.value))
          if (++seen === runs) break;
      process.kill(await findEngine(trainer), 'SIGSTOP');
      return events(trainer.client, 'stuck');
    };
    let runs = 1;
    expect(states(await freeze()).at(-1)).toBe('INTERRUPTED');
    await run(trainer.client, job(dataset, [{ ...ENDLESS, trialId: 'next' }], PRUNE));
    runs = 2;
    expect(states(await freeze()).at(-1)).toBe('FAILED');
    expect(await trainer.client.getJob('stuck')).toMatchObject({
      runs: 2,
      failure: { reason: FailureReason.FAILURE_REASON_STALLED },
    });
  });

  test('counts deaths anew after a checkpoint', async () => {
    const work = job(dataset, [ENDLESS], train({ checkpointEverySteps: 2 }));
    for (let death = 1; death <= 4; death++) {
      const found = await killInRun(work, ({ kind }) => kind?.$case === 'checkpointWritten');
      expect(states(found).at(-1)).toBe('INTERRUPTED');
    }
  });

  test('takes its engine with it when it is killed, and the next has one of its own', async () => {
    await events(
      trainer.client,
      await submit(trainer.client, spec),
      brings(JobState.JOB_STATE_RUNNING),
    );
    const engine = identify(await findEngine(trainer))!;
    await trainer.kill();
    const next = await place.start([], 'toy');
    expect(isAlive(engine)).toBe(false);
    expect((await next.client.getCapabilities()).framework).toBe('toy');
  });
});
