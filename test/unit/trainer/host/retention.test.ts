/** Which ended jobs a trainer forgets. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobState } from '../../../../gen/ts/sparse_adapter/trainer/v1/event';
import { JobSpec } from '../../../../gen/ts/sparse_adapter/trainer/v1/job';
import { JobStore } from '../../../../trainer/host/jobs';
import { chooseForgotten } from '../../../../trainer/host/retention';

const HOUR = 3_600_000;
const NOW = 100 * 24 * HOUR;
const job = (name: string, hours: number, megabytes: number) => ({
  name,
  endedAt: NOW - hours * HOUR,
  size: megabytes * 1e6,
});

describe('a trainer forgets', () => {
  const names = (days: number, megabytes: number, ended: ReturnType<typeof job>[]) =>
    chooseForgotten({ days, megabytes }, ended, NOW).map(({ name }) => name);
  const ended = [job('day', 24, 30), job('week', 24 * 7, 5), job('hours', 3, 40)];

  test('jobs that ended long ago, the oldest first', () => {
    expect(names(14, 1000, ended)).toEqual([]);
    expect(names(2, 1000, ended)).toEqual(['week']);
    expect(names(0.5, 1000, ended)).toEqual(['week', 'day']);
  });

  test('the oldest while all take too much room, and not one more', () => {
    expect(names(14, 75, ended)).toEqual([]);
    expect(names(14, 72, ended)).toEqual(['week']);
    expect(names(14, 69, ended)).toEqual(['week', 'day']);
  });

  test('none of the last hour for want of room: its watcher may come back', () => {
    expect(names(14, 1, [...ended, job('now', 0.9, 500)])).toEqual(['week', 'day', 'hours']);
  });
});

test('a job is not forgotten while a client watches it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-retention-'));
  try {
    const store = new JobStore(folder, 1, 3, { days: 1e-9, megabytes: 1 });
    const take = (jobId: string) => {
      store.submit(jobId, '0'.repeat(64), JobSpec.create());
      return store.take()!;
    };
    const end = (job: ReturnType<typeof take>) => store.finish(job, JobState.JOB_STATE_SUCCEEDED);
    const watched = take('watched');
    const stop = watched.log.listen(() => undefined);
    end(watched);
    end(take('second'));
    expect(store.find('watched')).toBe(watched);
    stop();
    end(take('third'));
    expect(store.find('watched')).toBeUndefined();
    expect(existsSync(join(folder, 'jobs/watched'))).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
