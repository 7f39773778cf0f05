/** What a trainer's jobs are on a full disk: nothing that could not be written has happened. */
import fs, { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobState } from '../../../../gen/ts/sparse_adapter/trainer/v1/event';
import { JobSpec } from '../../../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode } from '../../../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { EventLog } from '../../../../trainer/host/event-log';
import type { Job } from '../../../../trainer/host/job';
import { JobStore } from '../../../../trainer/host/jobs';
import { FullDisk } from '../../support/full-disk';

const { JOB_STATE_QUEUED, JOB_STATE_RUNNING, JOB_STATE_INTERRUPTED, JOB_STATE_SUCCEEDED } =
  JobState;

let folder: string;
let store: JobStore;
let disk: FullDisk;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-jobs-'));
  store = new JobStore(folder, 4, 2);
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

function submit(): Job {
  store.submit('job', 'digest', JobSpec.create());
  return store.find('job')!;
}

/** The states in its log. */
function states({ folder: place }: Job): JobState[] {
  const events = new EventLog(join(place, 'events.log'), '').read(0, 100);
  return events.flatMap(({ kind }) => (kind?.$case === 'stateChanged' ? [kind.value.state] : []));
}

/** Another process's store of the same folder. */
const reopened = () => new JobStore(folder, 4, 2).find('job')!.record;

describe.each(['ENOSPC', 'EDQUOT'] as const)('on a disk that says %s', (code) => {
  beforeEach(() => (disk = new FullDisk(code)));

  test('an interrupted job is not queued until its log says so', () => {
    const job = submit();
    store.cancel(job, CancelMode.CANCEL_MODE_CHECKPOINT);
    disk.isFull = true;
    expect(submit).toThrow(code);
    expect(job.record.state).toBe(JOB_STATE_INTERRUPTED);
    expect(states(job)).toEqual([JOB_STATE_QUEUED, JOB_STATE_INTERRUPTED]);
    disk.isFull = false;
    submit();
    expect(store.take()).toBe(job);
    expect(states(job).slice(2)).toEqual([JOB_STATE_QUEUED, JOB_STATE_RUNNING]);
  });

  test('a new job that finds no room leaves nothing', () => {
    disk.isFull = true;
    expect(submit).toThrow(code);
    expect(store.find('job')).toBeUndefined();
    disk.isFull = false;
    expect(submit().record.state).toBe(JOB_STATE_QUEUED);
  });

  test('a run neither begins nor ends', () => {
    const job = submit();
    disk.isFull = true;
    expect(() => store.take()).toThrow(code);
    expect(job.record).toMatchObject({ state: JOB_STATE_QUEUED, runs: 0 });
    disk.isFull = false;
    expect(store.take()!.record).toMatchObject({ state: JOB_STATE_RUNNING, runs: 1 });
    disk.isFull = true;
    expect(() => store.finish(job, JOB_STATE_SUCCEEDED)).toThrow(code);
    expect(job.record.state).toBe(JOB_STATE_RUNNING);
    disk.isFull = false;
    store.finish(job, JOB_STATE_SUCCEEDED);
    expect(states(job)).toEqual([JOB_STATE_QUEUED, JOB_STATE_RUNNING, JOB_STATE_SUCCEEDED]);
    expect(readdirSync(job.folder).sort()).toEqual(['events.log', 'job.json', 'spec.pb']);
  });
});

test('a submission whose event finds no room leaves no file open', () => {
  submit();
  store.cancel(store.find('job')!, CancelMode.CANCEL_MODE_CHECKPOINT);
  const opened: number[] = [];
  jest.spyOn(fs, 'writeSync').mockImplementation((descriptor) => {
    opened.push(descriptor);
    throw Object.assign(new Error('ENOSPC: no room, write'), { code: 'ENOSPC' });
  });
  for (const id of ['another', 'job']) {
    expect(() => store.submit(id, 'digest', JobSpec.create())).toThrow('ENOSPC');
    expect(() => fs.fstatSync(opened.at(-1)!)).toThrow('EBADF');
  }
  expect(opened).toHaveLength(2);
});

describe('a run that its process did not end', () => {
  function run(): Job {
    submit();
    return store.take()!;
  }

  test('counts as a crash, and the second one gives the job up', () => {
    run();
    expect(reopened().state).toBe(JOB_STATE_INTERRUPTED);
    store = new JobStore(folder, 4, 2);
    run();
    expect(reopened().failure?.message).toContain('2 runs of this job crashed the trainer');
  });

  test.each<[string, (job: Job) => void]>([
    ['the machine went down', ({ runningMark }) => writeFileSync(runningMark, 'another boot')],
    ['the trainer was being stopped, even on a full disk', () => stopOnFullDisk()],
  ])('does not where %s', (_, end) => {
    for (let times = 0; times < 4; times++) {
      store = new JobStore(folder, 4, 2);
      end(run());
      jest.restoreAllMocks();
      expect(reopened().state).toBe(JOB_STATE_INTERRUPTED);
    }
  });

  function stopOnFullDisk(): void {
    new FullDisk().isFull = true;
    store.stop();
  }
});
