/**
 * A trainer's jobs: their states, their queue, and how both outlive the process.
 *
 * `<state>/jobs/<job id>/` contains `spec.pb` (a JobSpec), `events.log` and `job.json` (the job as
 * in GetJob, and its unfinished runs). A state change is in the log before it is in job.json, so
 * after a crash the log is right. One job runs at a time, in the order of submission, so two jobs
 * of one trainer never work on the same trial at once.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  FailureReason,
  JobState,
  type Failure,
} from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode, Job as JobMessage } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { syncFolderSync, writeDurablySync } from '../../common/durable-files';
import { removeLeftovers } from '../../common/temporary-names';
import type { EngineEvent } from './engine';
import { EventLog } from './event-log';

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
/** A job's files cannot be read; the message names the folder and what to do. */
export class BrokenState extends Error {}

/** A job in memory. Only JobStore changes it. */
export class Job {
  cancelMode = CancelMode.CANCEL_MODE_UNSPECIFIED;
  private events: EventLog | undefined;

  /** unfinishedRuns: runs that started but did not end normally, because their process died. */
  constructor(
    readonly folder: string,
    readonly record: JobMessage,
    public unfinishedRuns: number,
  ) {}

  /** The job's events, read from disk on first use. */
  get log(): EventLog {
    this.events ??= new EventLog(join(this.folder, 'events.log'), this.record.logId);
    return this.events;
  }

  /** The specification, read from disk. */
  spec(): JobSpec {
    return JobSpec.decode(readFileSync(join(this.folder, 'spec.pb')));
  }

  /** Writes job.json. */
  save(): void {
    const content = {
      job: JobMessage.toJSON(this.record),
      unfinished_runs: this.unfinishedRuns,
      boot_id: bootId(),
    };
    writeDurablySync(join(this.folder, 'job.json'), JSON.stringify(content, null, 2));
  }
}

/** Compares jobs, newest first; no two are equal. */
export function byAge(a: Job, b: Job): number {
  const difference = b.record.createTime!.getTime() - a.record.createTime!.getTime();
  return difference || (a.record.jobId < b.record.jobId ? 1 : -1);
}

export class JobStore {
  private readonly folder: string;
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
  ) {
    this.folder = join(state, 'jobs');
    mkdirSync(this.folder, { recursive: true });
    for (const name of readdirSync(this.folder).sort()) {
      if (name.startsWith('.')) rmSync(join(this.folder, name), { recursive: true });
      else this.jobs.set(name, this.load(join(this.folder, name)));
    }
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
      job.cancelMode = CancelMode.CANCEL_MODE_UNSPECIFIED;
      this.setState(job, JobState.JOB_STATE_QUEUED, { detail: 'submitted again' });
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
   * itself. ABORT outranks CHECKPOINT.
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
        this.queue.splice(this.queue.indexOf(job), 1);
        this.setState(job, aborts ? JobState.JOB_STATE_CANCELLED : JobState.JOB_STATE_INTERRUPTED, {
          detail: 'stopped while it waited',
        });
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

  /** Calls `changed` when there is more to do: a job to take, or a running job to stop. */
  onWork(changed: () => void): void {
    this.workers.add(changed);
  }

  /** Starts a run of the next job; undefined if none is waiting or the trainer is stopping. */
  take(): Job | undefined {
    if (this.stopping) return undefined;
    const job = this.queue.shift();
    if (!job) return undefined;
    this.running = job;
    job.record.runs += 1;
    job.unfinishedRuns += 1;
    // Writes state and counters together, so that the run is counted on disk before it begins.
    this.setState(job, JobState.JOB_STATE_RUNNING, { detail: `run ${job.record.runs}` });
    return job;
  }

  /** Ends the run that `take` started. */
  finish(
    job: Job,
    state: JobState,
    { failure, detail }: { failure?: Failure; detail?: string } = {},
  ): void {
    this.running = undefined;
    job.unfinishedRuns = 0;
    this.setState(job, state, { failure, detail });
  }

  /** Ends the run that `take` started, after the engine's process died. */
  lose(job: Job, detail: string): void {
    this.running = undefined;
    this.endLostRun(job, detail);
  }

  /**
   * Appends an event of the running job. A checkpoint is synced, and proves that this run got
   * further than the last one.
   */
  emit(job: Job, event: EngineEvent): void {
    const isCheckpoint = event.$case === 'checkpointWritten';
    job.log.append(event, isCheckpoint);
    if (isCheckpoint && job.unfinishedRuns > 1) {
      job.unfinishedRuns = 1;
      job.save();
    }
  }

  /** Takes no more work and asks the running job to write a checkpoint and stop. */
  stop(): void {
    this.stopping = true;
    if (this.running) this.cancel(this.running, CancelMode.CANCEL_MODE_CHECKPOINT);
  }

  /** The process is about to exit in the middle of a run, which is not the job's fault. */
  forgiveRunning(): void {
    if (!this.running) return;
    this.running.unfinishedRuns -= 1;
    this.running.save();
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
    const job = new Job(making, record, 0);
    writeDurablySync(join(making, 'spec.pb'), JobSpec.encode(spec).finish());
    this.setState(job, JobState.JOB_STATE_QUEUED);
    job.log.close();
    // The rename makes the job appear as a whole.
    const folder = join(this.folder, jobId);
    renameSync(making, folder);
    syncFolderSync(this.folder);
    const created = new Job(folder, record, 0);
    this.jobs.set(jobId, created);
    return created;
  }

  private setState(
    job: Job,
    state: JobState,
    { failure, detail = '' }: { failure?: Failure; detail?: string } = {},
  ): void {
    // The record changes first, because a watcher that sees the event must find its state there.
    job.record.state = state;
    job.record.failure = failure ?? job.record.failure;
    job.record.updateTime = new Date();
    job.log.append({ $case: 'stateChanged', value: { state, failure, detail } }, true);
    job.record.lastSequence = job.log.lastSequence;
    job.save();
    if (isAtRest(state)) job.log.close();
  }

  private endLostRun(job: Job, detail: string): void {
    if (job.unfinishedRuns < this.quarantineAfter) {
      this.setState(job, JobState.JOB_STATE_INTERRUPTED, { detail });
      return;
    }
    const message =
      `${job.unfinishedRuns} runs of this job crashed the trainer: ` +
      'it is not started again. The log has more';
    this.setState(job, JobState.JOB_STATE_FAILED, {
      failure: { reason: FailureReason.FAILURE_REASON_QUARANTINED, message },
    });
  }

  private load(folder: string): Job {
    removeLeftovers(folder);
    const { job, bootedAs } = readJob(folder);
    const { record } = job;
    if (ENDED.includes(record.state)) return job;
    // If the machine went down, events that a watcher saw may be lost, and their numbers will be
    // reused. A new log id tells such a watcher to start over.
    if (bootedAs !== bootId()) record.logId = newLogId();
    const last = job.log.lastState();
    if (last && ENDED.includes(last.state)) {
      record.state = last.state;
      record.failure = last.failure;
      record.lastSequence = job.log.lastSequence;
      job.save();
    } else if (
      last?.state === JobState.JOB_STATE_INTERRUPTED &&
      job.unfinishedRuns < this.quarantineAfter
    ) {
      record.state = last.state;
      job.save();
    } else {
      this.endLostRun(job, 'the trainer went away');
    }
    return job;
  }
}

function readJob(folder: string): { job: Job; bootedAs: string } {
  try {
    const content = JSON.parse(readFileSync(join(folder, 'job.json'), 'utf8')) as {
      job: unknown;
      unfinished_runs: number;
      boot_id: string;
    };
    return {
      job: new Job(folder, JobMessage.fromJSON(content.job), content.unfinished_runs),
      bootedAs: content.boot_id,
    };
  } catch (error) {
    const why = (error as Error).message;
    throw new BrokenState(
      `${folder}: job.json cannot be read (${why}); move the folder away to go on without this job`,
    );
  }
}

const newLogId = (): string => randomUUID().replaceAll('-', '').slice(0, 16);

/** Identifies this boot of the machine; empty except on Linux. */
function bootId(): string {
  const path = '/proc/sys/kernel/random/boot_id';
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
}
