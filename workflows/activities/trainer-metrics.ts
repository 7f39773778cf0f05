/** What trainers tell, for whoever scrapes the worker (`--metrics-port`); else it goes nowhere. */
import type { MetricMeter } from '@temporalio/common';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import type { ByteCounter } from '../../orchestrator/trainer-client/moved-bytes';
import type { JobLog } from './job-log';

/** Notes what a job does, again and again. */
export class JobMetrics {
  private readonly meter: MetricMeter;
  private steps = 0;

  constructor(meter: MetricMeter, trainer: string) {
    this.meter = meter.withTags({ trainer });
  }

  note(log: JobLog, counter: ByteCounter): void {
    const { work, done, rows_per_s: rows } = log.shown;
    this.pace(rows);
    // After an interruption it may begin at an earlier step; those are done once more.
    const more = work === 'train' ? done - Math.min(this.steps, done) : 0;
    this.steps = done;
    this.count('sa_orch_steps', 'training steps, all trials together', more);
    const { sent, received } = counter.takeUntold();
    this.count('sa_orch_bytes_sent', 'bytes of files to the trainer', sent);
    this.count('sa_orch_bytes_received', 'bytes of files from the trainer', received);
  }

  /** The job has ended. */
  end(): void {
    this.pace(0);
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
  for (const { kind, name, memoryBytes } of capabilities.devices)
    tagged
      .createGauge('sa_orch_trainer_memory_bytes', 'int', '', 'memory of its device')
      .set(memoryBytes, { device: kind === 'cpu' ? kind : name });
}
