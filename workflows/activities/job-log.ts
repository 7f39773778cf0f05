/** Folds a job's event log into its outcome, and writes the files made from it. */
import { isDiskFull } from '../../common/disk-space';
import { PRECISIONS } from '../../common/vocabulary/precisions';
import { findWord } from '../../common/vocabulary/vocabulary';
import type {
  Artifact,
  CheckpointWritten,
  Environment,
  Event,
  Heartbeat,
} from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { JobState, Phase } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { mapBounded } from '../../orchestrator/base/bounded';
import {
  writeProgress,
  writeStage,
  type CohortProgress,
} from '../../orchestrator/store/sweep-store';
import type { TrainerEnvironment } from '../../orchestrator/sweep/types';
import type { Failed, JobOutcome, JobRef } from '../messages';
import { HistoryWriter } from './history-writer';
import { RunSteps } from './run-steps';
import { TrialSeries } from './trial-series';
import { asFailed, stateWord } from './words';

const OUTCOMES = new Map<JobState, JobOutcome['state']>([
  [JobState.JOB_STATE_SUCCEEDED, 'succeeded'],
  [JobState.JOB_STATE_FAILED, 'failed'],
  [JobState.JOB_STATE_CANCELLED, 'cancelled'],
  [JobState.JOB_STATE_INTERRUPTED, 'interrupted'],
]);

/** A job that has not moved for this long is worth a note. */
const STILL_SECONDS = 60;
/**
 * By now, a trainer of this project would have ended the run by itself: it does so after ten
 * minutes, unless told otherwise.
 */
const STUCK_SECONDS = 720;

/**
 * Folds a job's events. After a trainer's crash, the steps since its checkpoint repeat; the last
 * value of each counts.
 */
export class JobLog {
  logId = '';
  lastSequence = 0;
  /** What trials have come to, by trial: files that are complete on the trainer's disk. */
  readonly reported = new Map<string, Artifact[]>();
  /** Each trial's newest checkpoint. */
  readonly checkpoints = new Map<string, CheckpointWritten>();

  /** Steps of training that it tells of. */
  readonly steps = new RunSteps();

  private state = JobState.JOB_STATE_UNSPECIFIED;
  private failure: Failed | null = null;
  private readonly failedTrials: Record<string, Failed> = {};
  private readonly series: TrialSeries;
  private readonly history: HistoryWriter;
  /** What the trainer said of its pace in training. */
  private readonly paces = { sum: 0, count: 0 };
  private progressChanged = true;
  /** Trials whose records belong to a result that has been written. */
  private readonly kept = new Set<string>();
  /** Of what writes files; one at a time, so that the older never comes last. */
  private lastWrite: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly root: string,
    private readonly ref: JobRef,
    /** In the middle of the trials' training, where the job ends; undefined for its end. */
    private readonly untilStep?: number,
    private readonly progress: CohortProgress = {
      cohort: ref.cohortId,
      ...(ref.part === undefined ? {} : { part: ref.part, trials: ref.trials }),
      ...(ref.trainer === undefined ? {} : { trainer: ref.trainer.name }),
      work: ref.work,
      ...(ref.step === undefined ? {} : { step: ref.step }),
      state: 'submitting',
      done: 0,
      total: 0,
      rows_per_s: 0,
      losses: {},
      note: null,
      updated: Date.now(),
    },
  ) {
    this.history = new HistoryWriter(root, ref);
    this.series = new TrialSeries(root, ref);
  }

  /** A fold that begins with what the trials have reported to earlier jobs. */
  static async begin(root: string, ref: JobRef, untilStep?: number): Promise<JobLog> {
    const log = new JobLog(root, ref, untilStep);
    await log.series.readStretches();
    return log;
  }

  /** Another fold from the log's start, which shows the same progress until it has a newer one. */
  async startOver(): Promise<JobLog> {
    await this.keepStretches();
    const log = new JobLog(this.root, this.ref, this.untilStep, this.progress);
    await log.series.readStretches();
    return log;
  }

  /** What people see of it. */
  get shown(): Readonly<CohortProgress> {
    return this.progress;
  }

  /** How the job ended; undefined while it has not. */
  get ended(): JobOutcome['state'] | undefined {
    return OUTCOMES.get(this.state);
  }

  add(event: Event): void {
    this.logId = event.logId;
    this.lastSequence = event.sequence;
    this.history.add(event);
    this.steps.add(event);
    this.progressChanged = true;
    const { kind } = event;
    // Why a job was interrupted is shown until its next run gets somewhere.
    if (kind?.$case !== 'stateChanged') this.progress.note = null;
    switch (kind?.$case) {
      case 'stateChanged':
        this.state = kind.value.state;
        this.failure = kind.value.failure ? asFailed(kind.value.failure) : null;
        this.progress.state = stateWord(this.state);
        if (this.state === JobState.JOB_STATE_INTERRUPTED)
          this.progress.note = kind.value.detail || null;
        break;
      case 'progress':
        // Loading counts files, and a progress bar would make them look like steps or rows.
        if (kind.value.phase === Phase.PHASE_LOAD) {
          this.progress.note = 'reading backbone and data';
          break;
        }
        if (kind.value.phase === Phase.PHASE_WAIT) {
          this.progress.note = kind.value.note;
          break;
        }
        this.progress.done = kind.value.done;
        this.progress.total = kind.value.total;
        this.progress.rows_per_s = kind.value.rowsPerSecond;
        if (kind.value.phase === Phase.PHASE_TRAIN && kind.value.rowsPerSecond > 0) {
          this.paces.sum += kind.value.rowsPerSecond;
          this.paces.count++;
        }
        break;
      case 'metrics':
        for (const metric of kind.value.metrics) {
          this.series.addMetric(metric);
          if (metric.name === 'loss') this.progress.losses[metric.trialId] = metric.value;
        }
        break;
      case 'trialResult': {
        const { trialId, values, environments, artifacts, failure } = kind.value;
        const stage = this.series.stage(trialId);
        Object.assign(stage.values, values);
        stage.environments = environments.map(toRecord);
        stage.artifacts = Object.fromEntries(artifacts.map(({ name, digest }) => [name, digest]));
        if (failure) {
          this.failedTrials[trialId] = asFailed(failure);
          stage.environments = this.series.environmentsOf(trialId);
        } else {
          this.reported.set(trialId, artifacts);
          this.series.keepUntil(trialId, Infinity);
        }
        break;
      }
      case 'environment':
        this.series.addEnvironment(toRecord(kind.value));
        break;
      case 'warning': {
        const text = `${kind.value.code}: ${kind.value.message}`;
        for (const trial of kind.value.trialId ? [kind.value.trialId] : this.ref.trials)
          this.series.addWarning(trial, text);
        break;
      }
      case 'checkpointWritten':
        this.checkpoints.set(kind.value.trialId, kind.value);
        break;
      // Events of a newer contract are counted but otherwise ignored.
      case undefined:
        break;
    }
  }

  /** Records a heartbeat, sent while there are no events. */
  waiting(heartbeat: Heartbeat): void {
    this.progressChanged = true;
    this.progress.state = stateWord(heartbeat.state);
    const { queuePosition, secondsSinceWork, waitingFor } = heartbeat;
    if (waitingFor) this.progress.note = waitingFor;
    else if (queuePosition > 0) this.progress.note = `${queuePosition} ahead of it in the queue`;
    else if (secondsSinceWork > STILL_SECONDS) this.progress.note = describeStill(secondsSinceWork);
    else this.progress.note = null;
  }

  /** Shows what the job waits for, until there is news of it. */
  hold(state: string, note: string): void {
    this.progressChanged = true;
    this.progress.state = state;
    this.progress.note = note;
  }

  /** Says that what the job has reported up to a checkpoint's step is not to be lost. */
  keepUntil(trial: string, step: number): void {
    this.series.keepUntil(trial, step);
  }

  /** Says that a trial's records are those of its result, and stay as they are. */
  keepRecord(trial: string): void {
    this.kept.add(trial);
  }

  /** Notes that the results wait for room on a full disk. */
  fullDisk(reason: string): void {
    this.hold(this.progress.state, reason);
  }

  /** Writes progress and history, each if it has changed. */
  saveProgress(): Promise<void> {
    return this.inTurn(() => this.writeChanges());
  }

  private async writeChanges(): Promise<void> {
    try {
      await this.history.save();
      await this.series.saveStretches();
      if (!this.progressChanged) return;
      this.progressChanged = false;
      this.progress.updated = Date.now();
      await writeProgress(this.root, this.ref.sweepId, this.progress);
    } catch (error) {
      this.progressChanged = true;
      // Whoever reads these files sees a full disk without them.
      if (!isDiskFull(error)) throw error;
    }
  }

  /**
   * Writes each trial's stage record and metrics, and returns how the job ended. Call it once the
   * stream has ended.
   */
  async finish(): Promise<JobOutcome> {
    const state = OUTCOMES.get(this.state);
    if (!state) throw new Error(`the job's stream ended in state ${stateWord(this.state)}`);
    await this.inTurn(async () => {
      await mapBounded(this.ref.trials, async (trial) => {
        if (!this.kept.has(trial)) {
          // Masks are made once, however far the trial is trained.
          const step = this.ref.work === 'prune' ? undefined : this.untilStep;
          await writeStage(this.root, trial, this.ref.work, this.series.stage(trial), step);
          await this.series.writeMetrics(trial);
        }
        // A later job goes on from here, with a log of its own.
        const isTrained = this.untilStep === undefined && this.reported.has(trial);
        if (state === 'succeeded' && isTrained) await this.series.forget(trial);
      });
    });
    await this.saveProgress();
    const { sum, count } = this.paces;
    return {
      ...{ state, failure: this.failure, failedTrials: this.failedTrials },
      ...(count === 0 ? {} : { rowsPerSecond: sum / count }),
    };
  }

  /** What is not to be lost; a full disk loses what is repeated then. */
  private async keepStretches(): Promise<void> {
    try {
      await this.inTurn(() => this.series.saveStretches());
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  private inTurn<T>(write: () => Promise<T>): Promise<T> {
    const mine = this.lastWrite.then(write);
    this.lastWrite = mine.catch(() => undefined);
    return mine;
  }
}

function toRecord(environment: Environment): TrainerEnvironment {
  const { framework, frameworkVersion, device, deviceName, precision, details } = environment;
  return {
    framework,
    framework_version: frameworkVersion,
    device,
    device_name: deviceName,
    precision: findWord(PRECISIONS, precision) ?? null,
    details,
  };
}

function describeStill(seconds: number): string {
  const still = `has not moved for ${Math.round(seconds)} s`;
  return seconds > STUCK_SECONDS
    ? `${still}, and its trainer did not restart by itself: restart it`
    : still;
}
