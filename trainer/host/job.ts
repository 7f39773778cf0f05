/**
 * One job of a trainer, in memory and on disk.
 *
 * `<state>/jobs/<job id>/` contains `spec.pb` (a JobSpec), `events.log`, `job.json` (the job as in
 * GetJob, and how many of its runs crashed) and, while the job runs, `running`. A state change is
 * in the log before it is in job.json, so after a crash the log is right; and it is in memory only
 * once it is on disk, so a full disk changes nothing.
 *
 * `running` contains the id of the machine's boot. Only a crash leaves it: a trainer that is
 * stopped removes it, which needs no room, and after a reboot the id is another. So neither counts
 * against the job.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BOOT_ID } from '../../common/process-identity';
import { replaceSync } from '../../common/durable-files';
import { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode, Job as JobMessage } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { EventLog } from './event-log';

/** A job's files cannot be read; the message names the folder and what to do. */
export class BrokenState extends Error {
  readonly exitCode = 2;
}

/** A job in memory. Only JobStore changes it. */
export class Job {
  cancelMode = CancelMode.CANCEL_MODE_UNSPECIFIED;
  private events: EventLog | undefined;
  private bytes: number | undefined;

  /**
   * crashes: runs that took their process down with them; stalls: runs whose loop stopped moving;
   * both since the last checkpoint.
   */
  constructor(
    readonly folder: string,
    readonly record: JobMessage,
    public crashes = 0,
    public stalls = 0,
  ) {}

  /** The job's events, read from disk on first use. */
  get log(): EventLog {
    this.events ??= new EventLog(join(this.folder, 'events.log'), this.record.logId);
    return this.events;
  }

  /** When the state last changed, in milliseconds since the epoch. */
  get endedAt(): number {
    return this.record.updateTime!.getTime();
  }

  /** Bytes on disk; asked only once the job has ended. */
  get size(): number {
    this.bytes ??= readdirSync(this.folder).reduce(
      (sum, name) => sum + statSync(join(this.folder, name)).size,
      0,
    );
    return this.bytes;
  }

  /** Whether a client is watching it. */
  get isWatched(): boolean {
    return this.events?.isWatched ?? false;
  }

  /** The specification, read from disk. */
  spec(): JobSpec {
    return JobSpec.decode(readFileSync(join(this.folder, 'spec.pb')));
  }

  /** The file that exists while the job runs. */
  get runningMark(): string {
    return join(this.folder, 'running');
  }

  /**
   * Writes job.json, then changes the job in memory; neither if a write fails. `first`: as in
   * writeDurablySync. After a power cut, job.json may be an older one: the log is right.
   */
  change(
    changes: Partial<JobMessage>,
    { crashes = this.crashes, stalls = this.stalls }: { crashes?: number; stalls?: number },
    first?: () => void,
  ): void {
    const content = {
      job: JobMessage.toJSON({ ...this.record, ...changes }),
      unfinished_runs: crashes,
      stalls,
      boot_id: BOOT_ID,
    };
    replaceSync(join(this.folder, 'job.json'), JSON.stringify(content, null, 2), first);
    Object.assign(this.record, changes);
    this.crashes = crashes;
    this.stalls = stalls;
  }
}

/** The job in a folder, and the id of the boot in which it was written. Throws BrokenState. */
export function readJob(folder: string): { job: Job; bootedAs: string } {
  try {
    const content = JSON.parse(readFileSync(join(folder, 'job.json'), 'utf8')) as {
      job: unknown;
      unfinished_runs: number;
      /** Absent in jobs of earlier versions. */
      stalls?: number;
      boot_id: string;
    };
    const record = JobMessage.fromJSON(content.job);
    return {
      job: new Job(folder, record, content.unfinished_runs, content.stalls),
      bootedAs: content.boot_id,
    };
  } catch (error) {
    const why = (error as Error).message;
    throw new BrokenState(
      `${folder}: job.json cannot be read (${why}); move the folder away to go on without this job`,
    );
  }
}

/** Whether a run ended by a crash of the trainer alone, and not by the machine going down. */
export const isLeftByCrash = (runningMark: string): boolean =>
  existsSync(runningMark) && readFileSync(runningMark, 'utf8') === BOOT_ID;
