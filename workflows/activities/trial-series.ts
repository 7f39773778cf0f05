/** What a job reports about each of its trials, folded: numbers by step, warnings, what did it. */
import { isDeepStrictEqual } from 'node:util';
import {
  readStretch,
  removeStretch,
  writeStretch,
  type Stretch,
} from '../../orchestrator/store/stretches';
import { writeMetrics, type StageRecord } from '../../orchestrator/store/sweep-store';
import type { Metric } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { TrainerEnvironment } from '../../orchestrator/sweep/types';
import type { JobRef } from '../messages';

/** A value at a step; the last one counts, since steps after a checkpoint may repeat. */
interface Point {
  step: number;
  line: string;
}

/** Of one job, after what its trials have reported to earlier ones. */
export class TrialSeries {
  private readonly stages = new Map<string, StageRecord>();
  /** By trial, then by `name` and `step`. */
  private readonly metrics = new Map<string, Map<string, Point>>();
  /** What computed the job's runs, in order. */
  private readonly environments: TrainerEnvironment[] = [];
  /** What computed earlier jobs' runs of a trial. */
  private readonly before = new Map<string, TrainerEnvironment[]>();
  /** Trials with a newer checkpoint than their stretch has, and its step. */
  private readonly due = new Map<string, number>();

  constructor(
    private readonly root: string,
    private readonly ref: Pick<JobRef, 'trials' | 'work'>,
  ) {}

  /** Begins with what the trials have reported up to their newest checkpoints. */
  async readStretches(): Promise<void> {
    if (this.ref.work !== 'train') return;
    for (const trial of this.ref.trials) {
      const stretch = await readStretch(this.root, trial);
      if (stretch === null) continue;
      this.stage(trial).warnings.push(...stretch.warnings);
      this.before.set(trial, stretch.environments);
      for (const line of stretch.metrics) {
        const { name, step } = JSON.parse(line) as { name: string; step: number };
        this.points(trial).set(`${name} ${step}`, { step, line });
      }
    }
  }

  addMetric({ trialId, name, step, value }: Metric): void {
    // JSON has no NaN: a diverged loss is written as a string.
    const shown = Number.isFinite(value) ? value : String(value);
    const line = JSON.stringify({ name, step, value: shown });
    this.points(trialId).set(`${name} ${step}`, { step, line });
  }

  addEnvironment(now: TrainerEnvironment): void {
    if (!isDeepStrictEqual(this.environments.at(-1), now)) this.environments.push(now);
  }

  addWarning(trial: string, text: string): void {
    const { warnings } = this.stage(trial);
    if (!warnings.includes(text)) warnings.push(text);
  }

  /** What computed a trial so far, in order. */
  environmentsOf(trial: string): TrainerEnvironment[] {
    const before = this.before.get(trial) ?? [];
    // A log that is read again begins with what was kept of it.
    const overlaps = (length: number): boolean =>
      isDeepStrictEqual(before.slice(before.length - length), this.environments.slice(0, length));
    let known = Math.min(before.length, this.environments.length);
    while (!overlaps(known)) known--;
    return [...before, ...this.environments.slice(known)];
  }

  /** The trial's record, to be filled. */
  stage(trial: string): StageRecord {
    const record = this.stages.get(trial) ?? {
      values: {},
      warnings: [],
      environments: [],
      cohort: this.ref.trials.length,
    };
    this.stages.set(trial, record);
    return record;
  }

  /** Says that what is here up to a step is not to be lost: a checkpoint is on disk. */
  keepUntil(trial: string, step: number): void {
    if (this.ref.work === 'train') this.due.set(trial, step);
  }

  /** Writes what is to be kept. */
  async saveStretches(): Promise<void> {
    for (const [trial, until] of [...this.due]) {
      const points = [...this.points(trial).values()].filter(({ step }) => step <= until);
      const stretch: Stretch = {
        format: 1,
        metrics: points.map(({ line }) => line),
        warnings: this.stage(trial).warnings,
        environments: this.environmentsOf(trial),
      };
      await writeStretch(this.root, trial, stretch);
      if (this.due.get(trial) === until) this.due.delete(trial);
    }
  }

  async writeMetrics(trial: string): Promise<void> {
    const points = this.metrics.get(trial);
    if (points)
      await writeMetrics(
        this.root,
        trial,
        [...points.values()].map(({ line }) => line),
      );
  }

  /** Forgets what was kept of a trial that is trained. */
  async forget(trial: string): Promise<void> {
    this.due.delete(trial);
    if (this.ref.work === 'train') await removeStretch(this.root, trial);
  }

  private points(trial: string): Map<string, Point> {
    const points = this.metrics.get(trial) ?? new Map<string, Point>();
    this.metrics.set(trial, points);
    return points;
  }
}
