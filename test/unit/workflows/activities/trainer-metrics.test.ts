/** What a worker tells of its trainers' jobs. */
import type { MetricMeter } from '@temporalio/common';
import { Event, JobState, Phase } from '../../../../gen/ts/sparse_adapter/trainer/v1/event';
import type { ByteCounter } from '../../../../orchestrator/trainer-client/moved-bytes';
import { RunSteps } from '../../../../workflows/activities/run-steps';
import { JobMetrics } from '../../../../workflows/activities/trainer-metrics';
import type { JobRef } from '../../../../workflows/messages';

const NOTHING_MOVED = { takeUntold: () => ({ sent: 0, received: 0 }) } as ByteCounter;
const job = (generation: string): JobRef => ({
  ...{ sweepId: 's', planDigest: 'd', cohortId: 'c', trials: ['t'], work: 'train', generation },
});
const running = { $case: 'stateChanged', value: { state: JobState.JOB_STATE_RUNNING } };
const progress = (done: number, resumed = 0) => ({
  $case: 'progress',
  value: { phase: Phase.PHASE_TRAIN, done, resumed },
});

/** Counts what is told. */
function meter() {
  const found = { steps: 0 };
  const self = {
    withTags: () => self,
    createGauge: () => ({ set: () => undefined }),
    createCounter: (name: string) => ({
      add: (value: number) => void (name === 'sa_orch_steps' && (found.steps += value)),
    }),
  };
  return { found, meter: self as unknown as MetricMeter };
}

/** One attempt of the activity that watches a job, whose log has these events. */
function watch(to: MetricMeter, ref: JobRef, kinds: object[], watchedFrom = 0): void {
  const metrics = new JobMetrics(to, 'trainer', ref);
  const steps = new RunSteps();
  steps.watchFrom(watchedFrom);
  for (const [i, kind] of kinds.entries()) {
    steps.add(
      Event.fromPartial({ sequence: i + 1, kind } as Parameters<typeof Event.fromPartial>[0]),
    );
    metrics.note({ steps, shown: { rows_per_s: 0 } } as never, NOTHING_MOVED);
  }
}

describe('the steps that a worker tells', () => {
  test('are those of a job, once, also if its activity is tried again', () => {
    const { found, meter: to } = meter();
    watch(to, job('retried'), [running, progress(10), progress(25)]);
    expect(found.steps).toBe(25);
    watch(to, job('retried'), [running, progress(10), progress(25), progress(40)], 3);
    expect(found.steps).toBe(40);
  });

  test('leave out what a run found done, and count again what is done again', () => {
    const { found, meter: to } = meter();
    watch(to, job('crashed'), [running, progress(30), running, progress(25, 20), progress(50, 20)]);
    expect(found.steps).toBe(30 + 30);
    watch(to, job('elsewhere'), [running, progress(60, 50)]);
    expect(found.steps).toBe(70);
  });

  test('begin, in another process, where the first one may have stopped', () => {
    const { found, meter: to } = meter();
    watch(to, job('taken over'), [running, progress(100), progress(120), progress(130)], 3);
    expect(found.steps).toBe(10);
  });
});
