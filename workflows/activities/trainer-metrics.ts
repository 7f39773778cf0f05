/** What trainers tell, for whoever scrapes the worker (`--metrics-port`); else it goes nowhere. */
import type { MetricMeter } from '@temporalio/common';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import type { JobRef } from '../messages';
import type { ByteCounter } from '../../orchestrator/trainer-client/moved-bytes';
import type { JobLog } from './job-log';

/**
 * Steps that this process has told, by job: an activity that is tried again reads its log from the
 * start.
 */
const told = new Map<string, number>();
const REMEMBERED_JOBS = 1000;

/** Notes what a job does, again and again. */
export class JobMetrics {
  private readonly meter: MetricMeter;
  private readonly key: string;
  private readonly isKnown: boolean;

  constructor(meter: MetricMeter, trainer: string, job: JobRef) {
    const { sweepId, cohortId, generation, work } = job;
    this.meter = meter.withTags({ trainer });
    this.key = [sweepId, cohortId, generation, work].join(' ');
    this.isKnown = told.has(this.key);
  }

  note({ steps, shown }: Pick<JobLog, 'steps' | 'shown'>, counter: ByteCounter): void {
    this.pace(shown.rows_per_s);
    // What a job did before was told by the process that watched it then.
    const before = Math.max(told.get(this.key) ?? 0, this.isKnown ? 0 : steps.before);
    const more = steps.done - before;
    if (more >= 0) this.remember(steps.done);
    this.count('sa_orch_steps', 'training steps, all trials together', more);
    const { sent, received } = counter.takeUntold();
    this.count('sa_orch_bytes_sent', 'bytes of files to the trainer', sent);
    this.count('sa_orch_bytes_received', 'bytes of files from the trainer', received);
  }

  /** The job has ended. */
  end(): void {
    this.pace(0);
  }

  private remember(steps: number): void {
    told.delete(this.key);
    told.set(this.key, steps);
    for (const oldest of [...told.keys()].slice(0, -REMEMBERED_JOBS)) told.delete(oldest);
  }

  private pace(rows: number): void {
    const text = 'rows per second that the trainer scores, trains or predicts';
    this.meter.createGauge('sa_orch_rows_per_second', 'float', '', text).set(rows);
  }

  private count(name: string, text: string, value: number): void {
    if (value > 0) this.meter.createCounter(name, '', text).add(value);
  }
}

/** Notes whether a trainer answers, and what it is. capabilities: undefined if it does not. */
export function noteTrainer(
  meter: MetricMeter,
  trainer: string,
  capabilities: Pick<Capabilities, 'slots' | 'devices'> | undefined,
): void {
  const tagged = meter.withTags({ trainer });
  const gauge = (name: string, text: string, value: number): void =>
    tagged.createGauge(name, 'int', '', text).set(value);
  gauge('sa_orch_trainer_up', '1 if the trainer answers', capabilities === undefined ? 0 : 1);
  if (capabilities === undefined) return;
  gauge('sa_orch_trainer_slots', 'jobs that it runs at once', capabilities.slots);
  for (const { kind, name, memoryBytes, memoryUsedBytes } of capabilities.devices) {
    const device = kind === 'cpu' ? kind : name;
    tagged
      .createGauge('sa_orch_trainer_memory_bytes', 'int', '', 'memory of its device')
      .set(memoryBytes, { device });
    if (memoryUsedBytes > 0)
      tagged
        .createGauge('sa_orch_trainer_memory_used_bytes', 'int', '', 'of that, in use')
        .set(memoryUsedBytes, { device });
  }
}
