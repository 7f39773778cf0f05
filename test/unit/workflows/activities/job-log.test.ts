/** What a job's events come to in the files that people and later stages read. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Event,
  FailureReason,
  Heartbeat,
  JobState,
  Phase,
} from '../../../../gen/ts/sparse_adapter/trainer/v1/event';
import { readJobHistories } from '../../../../orchestrator/store/job-history';
import type * as Stretches from '../../../../orchestrator/store/stretches';
import { readProgress, readStage } from '../../../../orchestrator/store/sweep-store';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobLog } from '../../../../workflows/activities/job-log';

let mockBeforeStretch = Promise.resolve();
jest.mock('../../../../orchestrator/store/stretches', () => {
  const real = jest.requireActual<typeof Stretches>('../../../../orchestrator/store/stretches');
  const writeStretch: typeof real.writeStretch = async (...args) => {
    await mockBeforeStretch;
    await real.writeStretch(...args);
  };
  return { ...real, writeStretch };
});

const REF = {
  sweepId: 's-1',
  planDigest: 'd',
  cohortId: 'c01',
  trials: ['a', 'b'],
  work: 'train' as const,
  generation: 'r-1',
};

describe('a job’s log', () => {
  let root: string;
  let log: JobLog;
  let sequence: number;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'sa-orch-job-log-'));
    log = new JobLog(root, REF);
    sequence = 0;
  });
  afterEach(() => rmSync(root, { recursive: true }));

  /** kind: an event in the contract's JSON form. */
  const add = (kind: object) =>
    log.add(Event.fromJSON({ sequence: ++sequence, logId: 'l', ...kind }));
  const state = (value: JobState) => add({ stateChanged: { state: value } });
  const progress = (phase: Phase, done: number, total: number) =>
    add({ progress: { phase, done, total } });
  const metric = (trialId: string, step: number, value: number) =>
    add({ metrics: { metrics: [{ trialId, name: 'loss', step, value }] } });

  test('says how fast its trials were trained, and nothing where nobody said', async () => {
    const pace = (phase: Phase, rowsPerSecond: number) =>
      add({ progress: { phase, done: 1, total: 9, rowsPerSecond } });
    pace(Phase.PHASE_SCORE, 7);
    state(JobState.JOB_STATE_SUCCEEDED);
    expect(await log.finish()).not.toHaveProperty('rowsPerSecond');
    for (const rowsPerSecond of [0, 100, 200]) pace(Phase.PHASE_TRAIN, rowsPerSecond);
    pace(Phase.PHASE_LOAD, 7);
    expect(await log.finish()).toMatchObject({ rowsPerSecond: 150 });
  });

  test('shows what a running job waits for until it moves again', async () => {
    state(JobState.JOB_STATE_RUNNING);
    const waitingFor = 'no room on the disk of /x: 0 MB free';
    log.waiting(Heartbeat.fromPartial({ state: JobState.JOB_STATE_RUNNING, waitingFor }));
    await log.saveProgress();
    expect((await readProgress(root, 's-1', 'c01'))[0]).toMatchObject({
      state: 'running',
      note: waitingFor,
    });
    progress(Phase.PHASE_TRAIN, 3, 100);
    await log.saveProgress();
    expect((await readProgress(root, 's-1', 'c01'))[0]).toMatchObject({ done: 3, note: null });
  });

  test('shows loading as a note, not as the work’s progress, until the work moves', async () => {
    state(JobState.JOB_STATE_RUNNING);
    progress(Phase.PHASE_LOAD, 1, 2);
    await log.saveProgress();
    expect((await readProgress(root, 's-1', 'c01'))[0]).toMatchObject({
      state: 'running',
      done: 0,
      total: 0,
      note: 'reading backbone and data',
    });
    progress(Phase.PHASE_TRAIN, 3, 100);
    await log.saveProgress();
    expect((await readProgress(root, 's-1', 'c01'))[0]).toMatchObject({
      done: 3,
      total: 100,
      note: null,
    });
  });

  test('takes the last value of a step computed twice; writes a NaN loss as a word', async () => {
    metric('a', 1, 0.7);
    metric('a', 2, 9);
    metric('a', 2, 0.6);
    metric('a', 3, NaN);
    state(JobState.JOB_STATE_SUCCEEDED);
    await log.finish();
    const lines = readFileSync(join(root, 'trials', 'a', 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { name: 'loss', step: 1, value: 0.7 },
      { name: 'loss', step: 2, value: 0.6 },
      { name: 'loss', step: 3, value: 'NaN' },
    ]);
  });

  test('gives a warning without a trial to each trial once, a failure to the outcome', async () => {
    for (let i = 0; i < 2; i++) add({ warning: { code: 'slow', message: 'm' } });
    const failure = { reason: FailureReason.FAILURE_REASON_NON_FINITE, message: 'the loss is NaN' };
    add({ trialResult: { trialId: 'b', values: { steps: 2 }, failure } });
    state(JobState.JOB_STATE_SUCCEEDED);
    expect(await log.finish()).toEqual({
      state: 'succeeded',
      failure: null,
      failedTrials: { b: { reason: 'non_finite', message: 'the loss is NaN' } },
    });
    expect(await readStage(root, 'a', 'train')).toMatchObject({
      values: {},
      warnings: ['slow: m'],
      cohort: 2,
    });
    expect(await readStage(root, 'b', 'train')).toMatchObject({
      values: { steps: 2 },
      warnings: ['slow: m'],
    });
  });

  test('records what made a trial’s work, of a failed one what ran it', async () => {
    const cpu = { framework: 'torch', frameworkVersion: '2.15.0', device: 'cpu', precision: 1 };
    const gpu = { ...cpu, device: 'cuda', deviceName: 'H100', details: { threads: '2' } };
    const tfjs = { ...cpu, framework: 'tfjs' };
    for (const environment of [tfjs, tfjs]) add({ environment });
    add({ trialResult: { trialId: 'a', environments: [cpu, gpu] } });
    add({ trialResult: { trialId: 'b', failure: { reason: 1, message: 'the loss is NaN' } } });
    state(JobState.JOB_STATE_SUCCEEDED);
    await log.finish();
    const made = async (trial: string) => (await readStage(root, trial, 'train'))!.environments;
    expect(await made('a')).toMatchObject([
      { framework: 'torch', device: 'cpu', precision: 'float32' },
      { device: 'cuda', device_name: 'H100', details: { threads: '2' } },
    ]);
    expect(await made('b')).toMatchObject([{ framework: 'tfjs', framework_version: '2.15.0' }]);
  });

  test('of an older trainer, or a record of an older version, leaves it unknown', async () => {
    add({ trialResult: { trialId: 'a', values: { steps: 2 } } });
    state(JobState.JOB_STATE_SUCCEEDED);
    await log.finish();
    expect((await readStage(root, 'a', 'train'))!.environments).toEqual([]);
    const path = join(root, 'trials', 'a', 'stages', 'train.json');
    const old = { values: {}, warnings: [], environment: { torch: '2.14' }, cohort: 1 };
    writeFileSync(path, JSON.stringify(old));
    expect((await readStage(root, 'a', 'train'))!.environments).toEqual([]);
  });

  test('keeps in words what happened, without what happens all the time', async () => {
    const at = (second: number) => ({ time: `2026-01-02T03:04:0${second}.000Z` });
    const failure = { reason: FailureReason.FAILURE_REASON_TIME_LIMIT, message: 'too slow' };
    add({ ...at(1), stateChanged: { state: JobState.JOB_STATE_RUNNING, detail: 'run 1' } });
    progress(Phase.PHASE_TRAIN, 3, 100);
    metric('a', 1, 0.7);
    add({ ...at(2), warning: { code: 'slow', message: 'm' } });
    add({ ...at(3), trialResult: { trialId: 'a', values: { steps: 2, rate: 1 / 3 } } });
    add({ ...at(4), trialResult: { trialId: 'b', failure } });
    await log.saveProgress();
    expect(await readJobHistories(root, 's-1')).toEqual([
      {
        ...{ cohort: 'c01', work: 'train', trials: ['a', 'b'] },
        events: [
          { ...at(1), trial: null, kind: 'state', text: 'running: run 1' },
          { ...at(2), trial: null, kind: 'warning', text: 'warning: slow: m' },
          { ...at(3), trial: 'a', kind: 'result', text: 'done, rate 0.333333, steps 2' },
          { ...at(4), trial: 'b', kind: 'failure', text: 'failed: time_limit: too slow' },
        ],
      },
    ]);
  });

  test('begins with what a lost trainer reported up to its last checkpoint', async () => {
    const environment = (deviceName: string) => add({ environment: { device: 'cpu', deviceName } });
    const readLines = () => readFileSync(join(root, 'trials/a/metrics.jsonl'), 'utf8');
    environment('old');
    add({ warning: { trialId: 'a', code: 'slow', message: 'm' } });
    for (const step of [1, 2, 3]) metric('a', step, 0.9);
    add({ checkpointWritten: { trialId: 'a', step: 2 } });
    log.keepUntil('a', 2);
    await log.saveProgress();

    log = await JobLog.begin(root, REF);
    sequence = 0;
    environment('new');
    for (const step of [3, 4]) metric('a', step, 0.5);
    add({ trialResult: { trialId: 'a', failure: { reason: 1, message: 'the loss is NaN' } } });
    state(JobState.JOB_STATE_FAILED);
    await log.finish();
    const lines = readLines();
    expect(
      lines
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as object),
    ).toEqual([
      ...[1, 2].map((step) => ({ name: 'loss', step, value: 0.9 })),
      ...[3, 4].map((step) => ({ name: 'loss', step, value: 0.5 })),
    ]);
    const stage = (await readStage(root, 'a', 'train'))!;
    expect(stage.warnings).toEqual(['slow: m']);
    expect(stage.environments.map(({ device_name }) => device_name)).toEqual(['old', 'new']);

    // A log that is read again changes nothing, nor does a third job after the second one.
    log = await JobLog.begin(root, REF);
    sequence = 0;
    environment('new');
    for (const step of [3, 4]) metric('a', step, 0.5);
    add({ trialResult: { trialId: 'a', values: { steps: 4 } } });
    state(JobState.JOB_STATE_SUCCEEDED);
    await log.finish();
    expect(readLines()).toBe(lines);
    expect(existsSync(join(root, 'trials/a/stages/train.so-far.json'))).toBe(false);
  });

  test('leaves nothing of a trained trial that a slow disk writes as the job ends', async () => {
    metric('a', 1, 0.7);
    log.keepUntil('a', 1);
    mockBeforeStretch = sleep(300);
    const beat = log.saveProgress();
    add({ trialResult: { trialId: 'a', values: { steps: 1 } } });
    state(JobState.JOB_STATE_SUCCEEDED);
    await Promise.all([log.finish(), beat]);
    mockBeforeStretch = Promise.resolve();
    expect(existsSync(join(root, 'trials/a/stages/train.so-far.json'))).toBe(false);
  });

  test('keeps the record of a trial that has become done meanwhile', async () => {
    add({ trialResult: { trialId: 'a', values: { steps: 9 } } });
    log.keepRecord('a');
    state(JobState.JOB_STATE_SUCCEEDED);
    await log.finish();
    expect(await readStage(root, 'a', 'train')).toBeNull();
  });

  test('that ends before the job does is an error, not an outcome', async () => {
    state(JobState.JOB_STATE_RUNNING);
    await expect(log.finish()).rejects.toThrow('ended in state running');
  });
});
