/**
 * A trainer's jobs: their states, their queue, and how both outlive the process (job.ts).
 *
 * One job runs at a time, in the order of submission, so two jobs of one trainer never work on the
 * same trial at once.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import {
  FailureReason,
  JobState,
  type Failure,
} from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode, Job as JobMessage } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { replaceSync, syncFolderSync } from '../../common/durable-files';
import { removeLeftovers } from '../../common/temporary-names';
import type { EngineEvent } from './engine';
import { BOOT_ID } from '../../common/process-identity';
import { removeFolder } from './folders';
import { isLeftByCrash, Job, readJob } from './job';
import { log } from './log';
import { chooseForgotten, DEFAULT_RETENTION } from './retention';

const STALLS_BEFORE_FAILURE = 2;

const ENDED: readonly JobState[] = [
  JobState.JOB_STATE_SUCCEEDED,
  JobState.JOB_STATE_FAILED,
  JobState.JOB_STATE_CANCELLED,
];

/** Whether there is nothing more to watch in a job. */
export const isAtRest = (state: JobState): boolean =>
  state === JobState.JOB_STATE_INTERRUPTED || ENDED.includes(state);

/** The queue is full. */
export class QueueFull extends Error {}
/** A job with another specification has this job id; the message is its digest. */
export class DigestDiffers extends Error {}
/** The trainer is stopping and takes no more work. */
export class Stopping extends Error {}

/** What changes along with a job's state. */
interface StateChange {
  failure?: Failure;
  /** For people. */
  detail?: string;
  /** How often it was started. */
  runs?: number;
  crashes?: number;
  stalls?: number;
}

/** Compares jobs, newest first; no two are equal. */
export function byAge(a: Job, b: Job): number {
  const difference = b.record.createTime!.getTime() - a.record.createTime!.getTime();
  return difference || (a.record.jobId < b.record.jobId ? 1 : -1);
}

export class JobStore {
  readonly folder: string;
  private readonly jobs = new Map<string, Job>();
  private readonly queue: Job[] = [];
  private running: Job | undefined;
  private stopping = false;
  private readonly workers = new Set<() => void>();

  /**
   * Reads the jobs under `state`. A job that was queued or running becomes INTERRUPTED, or FAILED
   * if the process died in `quarantineAfter` of its runs without a checkpoint in between.
   *
   * @throws BrokenState
   */
  constructor(
    state: string,
    readonly queueLength: number,
    private readonly quarantineAfter: number,
    private readonly retention = DEFAULT_RETENTION,
  ) {
    this.folder = join(state, 'jobs');
    makeFolder(this.folder);
    for (const name of readdirSync(this.folder).sort()) {
      if (name.startsWith('.')) rmSync(join(this.folder, name), { recursive: true });
      else this.jobs.set(name, this.load(join(this.folder, name)));
    }
    this.forgetOld();
  }

  /**
   * Creates and queues the job, requeues it if it is INTERRUPTED, or just finds it.
   *
   * @throws DigestDiffers, QueueFull, Stopping
   */
  submit(jobId: string, specDigest: string, spec: JobSpec): { job: JobMessage; created: boolean } {
    const found = this.jobs.get(jobId);
    if (found && found.record.specDigest !== specDigest)
      throw new DigestDiffers(found.record.specDigest);
    if (found && found.record.state !== JobState.JOB_STATE_INTERRUPTED)
      return { job: this.snapshot(found), created: false };
    if (this.stopping) throw new Stopping();
    if (this.queue.length >= this.queueLength) throw new QueueFull();
    const job = found ?? this.create(jobId, specDigest, spec);
    if (found) {
      this.setState(job, JobState.JOB_STATE_QUEUED, { detail: 'submitted again' });
      job.cancelMode = CancelMode.CANCEL_MODE_UNSPECIFIED;
    }
    this.queue.push(job);
    const snapshot = this.snapshot(job);
    for (const changed of this.workers) changed();
    return { job: snapshot, created: found === undefined };
  }

  find(jobId: string): Job | undefined {
    return this.jobs.get(jobId);
  }

  /**
   * The job as it is now, with its queue position: how many jobs are running or were submitted
   * earlier.
   */
  snapshot(job: Job): JobMessage {
    const { record } = job;
    const waits = record.state === JobState.JOB_STATE_QUEUED;
    return {
      ...record,
      // For a job that has ended, the record has the number, so its log need not be read.
      lastSequence: ENDED.includes(record.state) ? record.lastSequence : job.log.lastSequence,
      queuePosition: waits ? Math.max(this.queue.indexOf(job), 0) + (this.running ? 1 : 0) : 0,
    };
  }

  /** The jobs in one of these states, or all if none is given. */
  newestFirst(states: readonly JobState[]): Job[] {
    return [...this.jobs.values()]
      .filter(({ record }) => states.length === 0 || states.includes(record.state))
      .sort(byAge);
  }

  /**
   * Stops the job and returns it as it was before. A running job is only asked, and then stops by
   * itself, and so does a waiting one if the disk is too full to record that it has stopped. ABORT
   * outranks CHECKPOINT.
   */
  cancel(job: Job, mode: CancelMode): JobMessage {
    const before = this.snapshot(job);
    const aborts = mode === CancelMode.CANCEL_MODE_ABORT;
    switch (job.record.state) {
      case JobState.JOB_STATE_RUNNING:
        job.cancelMode = Math.max(job.cancelMode, mode);
        for (const changed of this.workers) changed();
        break;
      case JobState.JOB_STATE_QUEUED:
        job.cancelMode = Math.max(job.cancelMode, mode);
        this.setState(job, aborts ? JobState.JOB_STATE_CANCELLED : JobState.JOB_STATE_INTERRUPTED, {
          detail: 'stopped while it waited',
        });
        this.queue.splice(this.queue.indexOf(job), 1);
        break;
      case JobState.JOB_STATE_INTERRUPTED:
        if (aborts)
          this.setState(job, JobState.JOB_STATE_CANCELLED, {
            detail: 'cancelled after it was interrupted',
          });
        break;
      default:
    }
    return before;
  }

  /** Whether a job waits to be taken. */
  isWaiting(): boolean {
    return this.queue.length > 0;
  }

  /** Calls `changed` when there is more to do: a job to take, or a running job to stop. */
  onWork(changed: () => void): void {
    this.workers.add(changed);
  }

  /** Starts a run of the next job; undefined if none is waiting or the trainer is stopping. */
  take(): Job | undefined {
    const [job] = this.queue;
    if (this.stopping || !job) return undefined;
    const runs = job.record.runs + 1;
    // Before the run begins: a crash right after it must leave the mark. A power cut need not.
    writeFileSync(job.runningMark, BOOT_ID);
    try {
      this.setState(job, JobState.JOB_STATE_RUNNING, { detail: `run ${runs}`, runs });
    } catch (error) {
      rmSync(job.runningMark);
      throw error;
    }
    this.queue.shift();
    this.running = job;
    return job;
  }

  /** Ends the run that `take` started. */
  finish(
    job: Job,
    state: JobState,
    { failure, detail, stalls }: Pick<StateChange, 'failure' | 'detail' | 'stalls'> = {},
  ): void {
    this.setState(job, state, { failure, detail, stalls, crashes: 0 });
    this.running = undefined;
    rmSync(job.runningMark, { force: true });
    this.forgetOld();
  }

  /** Ends the run that `take` started, after the engine's process died. */
  lose(job: Job, detail: string): void {
    // The mark is gone if the trainer was being stopped, whatever the engine then died of.
    this.endLostRun(job, job.crashes + (existsSync(job.runningMark) ? 1 : 0), detail);
    this.running = undefined;
    rmSync(job.runningMark, { force: true });
  }

  /**
   * Ends a run whose loop did not move for so long. The next run continues it, unless this job was
   * stuck before with no checkpoint since: then it has failed.
   */
  endStalledRun(job: Job, seconds: number): void {
    const still = `the loop did not move for ${seconds} s`;
    const stalls = job.stalls + 1;
    if (job.cancelMode === CancelMode.CANCEL_MODE_ABORT) {
      this.finish(job, JobState.JOB_STATE_CANCELLED, { detail: `cancelled; ${still}` });
    } else if (stalls < STALLS_BEFORE_FAILURE) {
      const detail = `${still}, so the engine restarts`;
      this.finish(job, JobState.JOB_STATE_INTERRUPTED, { detail, stalls });
    } else {
      const message = `${still}, as before the engine was restarted for it`;
      const failure = { reason: FailureReason.FAILURE_REASON_STALLED, message };
      this.finish(job, JobState.JOB_STATE_FAILED, { failure, stalls });
    }
  }

  /**
   * Appends an event of the running job. A checkpoint is synced, and proves that this run got
   * further than the last one.
   */
  emit(job: Job, event: EngineEvent): void {
    const isCheckpoint = event.$case === 'checkpointWritten';
    const append = (): void => job.log.append(event, isCheckpoint);
    if (isCheckpoint && (job.crashes > 0 || job.stalls > 0))
      job.change({}, { crashes: 0, stalls: 0 }, append);
    else append();
  }

  /**
   * Takes no more work and asks the running job to write a checkpoint and stop. If the process is
   * killed before the job has stopped, that is not the job's fault.
   */
  stop(): void {
    this.stopping = true;
    if (!this.running) return;
    rmSync(this.running.runningMark, { force: true });
    this.cancel(this.running, CancelMode.CANCEL_MODE_CHECKPOINT);
  }

  /** Forgets ended jobs as the retention says, but never one that a client is watching. */
  private forgetOld(): void {
    const ended = [...this.jobs.values()].filter(({ record }) => ENDED.includes(record.state));
    for (const job of chooseForgotten(this.retention, ended, Date.now())) {
      if (job.isWatched) continue;
      try {
        removeFolder(job.folder);
      } catch (error) {
        log('WARNING', `an old job cannot be removed: ${(error as Error).message}`);
      }
      if (!existsSync(job.folder)) this.jobs.delete(job.record.jobId);
    }
  }

  private create(jobId: string, specDigest: string, spec: JobSpec): Job {
    const making = join(this.folder, `.${jobId}`);
    // Left by an earlier attempt on a full disk.
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making);
    const record = JobMessage.create({
      jobId,
      specDigest,
      logId: newLogId(),
      createTime: new Date(),
    });
    const job = new Job(making, record);
    try {
      replaceSync(join(making, 'spec.pb'), JobSpec.encode(spec).finish());
      this.setState(job, JobState.JOB_STATE_QUEUED);
      syncFolderSync(making);
    } finally {
      job.log.close();
    }
    // The rename makes the job appear as a whole.
    const folder = join(this.folder, jobId);
    renameSync(making, folder);
    syncFolderSync(this.folder);
    const created = new Job(folder, record);
    this.jobs.set(jobId, created);
    return created;
  }

  /** Changes the job on disk and then in memory; neither if the disk is full. */
  private setState(
    job: Job,
    state: JobState,
    { failure, detail = '', runs = job.record.runs, crashes, stalls }: StateChange = {},
  ): void {
    const lastSequence = job.log.lastSequence + 1;
    const changes = { state, updateTime: new Date(), runs, lastSequence };
    // Watchers hear of the event at once, but look at the job only after this has returned.
    try {
      job.change(failure ? { ...changes, failure } : changes, { crashes, stalls }, () =>
        job.log.append({ $case: 'stateChanged', value: { state, failure, detail } }, true),
      );
    } finally {
      // Also of an interrupted job that could not be queued again.
      if (isAtRest(job.record.state)) job.log.close();
    }
  }

  private endLostRun(job: Job, crashes: number, detail: string): void {
    if (crashes < this.quarantineAfter) {
      this.setState(job, JobState.JOB_STATE_INTERRUPTED, { detail, crashes });
      return;
    }
    const message =
      `${crashes} runs of this job crashed the trainer: ` +
      'it is not started again. The log has more';
    this.setState(job, JobState.JOB_STATE_FAILED, {
      failure: { reason: FailureReason.FAILURE_REASON_QUARANTINED, message },
      crashes,
    });
  }

  private load(folder: string): Job {
    removeLeftovers(folder);
    const { job, bootedAs } = readJob(folder);
    const { record } = job;
    if (ENDED.includes(record.state)) return job;
    // If the machine went down, events that a watcher saw may be lost, and their numbers will be
    // reused. A new log id tells such a watcher to start over.
    if (bootedAs !== BOOT_ID) record.logId = newLogId();
    const crashed = isLeftByCrash(job.runningMark);
    const crashes = job.crashes + (crashed ? 1 : 0);
    const last = job.log.lastState();
    if (last && ENDED.includes(last.state)) {
      const { state, failure } = last;
      job.change({ state, failure, lastSequence: job.log.lastSequence }, { crashes });
    } else if (last?.state === JobState.JOB_STATE_INTERRUPTED && crashes < this.quarantineAfter) {
      job.change({ state: last.state }, { crashes });
    } else {
      this.endLostRun(job, crashes, crashed ? 'the trainer crashed' : 'the trainer went away');
    }
    // Only now, because whoever dies before this must count the crash again.
    rmSync(job.runningMark, { force: true });
    return job;
  }
}

const newLogId = (): string => randomUUID().replaceAll('-', '').slice(0, 16);
