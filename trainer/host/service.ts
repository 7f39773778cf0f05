/** Serves TrainerService from a store of jobs. */
import { status, type ServerWritableStream } from '@grpc/grpc-js';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { JobState, type Heartbeat } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  CancelMode,
  type CancelJobRequest,
  type CancelJobResponse,
  type GetJobRequest,
  type GetJobResponse,
  type Job as JobMessage,
  type ListJobsRequest,
  type ListJobsResponse,
  type SubmitJobRequest,
  type SubmitJobResponse,
  type TrainerServiceServer,
  type WatchJobRequest,
  type WatchJobResponse,
} from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { describeFullDisk, isDiskFull } from '../../common/disk-space';
import { asRefusal, drained, readRequest, unary } from './calls';
import { byAge, DigestDiffers, isAtRest, QueueFull, Stopping, type JobStore } from './jobs';
import type { Job } from './job';
import type { EngineRunner } from './engine-runner';
import { unmetPreconditions } from './preconditions';
import { Refusal, refuseFields, refuseFullDisk, refuseFullQueue, refuseStopping } from './refusals';
import { invalidFields, invalidIdentity } from './validation';
import { quoted } from './violations';
import { wholeSpec } from './whole-spec';

const HEARTBEAT_MS = 5000;
const EVENTS_PER_READ = 256;

export class TrainerService {
  private stopping = false;
  private readonly watchers = new Set<Changes>();

  /** root: the artifact root. engine: what heartbeats tell of it. */
  constructor(
    private readonly store: JobStore,
    private readonly capabilities: Capabilities,
    private readonly root: string,
    private readonly engine: Pick<EngineRunner, 'secondsSinceWork' | 'waitingFor'>,
  ) {}

  /** The methods as grpc-js calls them. */
  handlers(): TrainerServiceServer {
    return {
      getCapabilities: unary(() => ({ capabilities: this.capabilities })),
      submitJob: unary((request) => this.submitJob(request)),
      watchJob: (call) => void this.watchJob(call),
      getJob: unary((request) => this.getJob(request)),
      listJobs: unary((request) => this.listJobs(request)),
      cancelJob: unary((request) => this.cancelJob(request)),
    };
  }

  /** Ends all watches with UNAVAILABLE and accepts no more. */
  stop(): void {
    this.stopping = true;
    for (const changes of this.watchers) changes.note();
  }

  private submitJob(request: SubmitJobRequest): SubmitJobResponse {
    const { jobId, specDigest } = request;
    refuseWhere(status.INVALID_ARGUMENT, invalidIdentity(request));
    const spec = wholeSpec(request.spec);
    // An existing job was checked when it was created, and what it needed may be gone since it
    // ended.
    if (!this.store.find(jobId)) {
      refuseWhere(status.INVALID_ARGUMENT, invalidFields(spec));
      refuseWhere(
        status.FAILED_PRECONDITION,
        unmetPreconditions(spec, this.capabilities, this.root),
      );
    }
    try {
      return this.writeState(() => this.store.submit(jobId, specDigest, spec));
    } catch (error) {
      if (error instanceof DigestDiffers) {
        const message =
          `job ${jobId} exists with spec_digest ${error.message}, not ${specDigest}; ` +
          'another specification needs another id';
        throw new Refusal(status.ALREADY_EXISTS, message);
      }
      if (error instanceof QueueFull) throw refuseFullQueue(this.store.queueLength);
      if (error instanceof Stopping) throw refuseStopping();
      throw error;
    }
  }

  private getJob({ jobId }: GetJobRequest): GetJobResponse {
    return { job: this.store.snapshot(this.find(jobId)) };
  }

  private listJobs({ states, pageSize, pageToken }: ListJobsRequest): ListJobsResponse {
    let jobs = this.store.newestFirst(states);
    if (pageToken !== '') {
      // The token is the id of the last job sent. Its state may have changed, so find its place by
      // age.
      const last = this.store.find(pageToken);
      if (!last) {
        const description = `${quoted(pageToken)} is not a next_page_token of this trainer`;
        throw refuseFields(status.INVALID_ARGUMENT, [{ field: 'page_token', description }]);
      }
      jobs = jobs.filter((job) => byAge(last, job) < 0);
    }
    const page = jobs
      .slice(0, Math.min(pageSize || 100, 1000))
      .map((job) => this.store.snapshot(job));
    return { jobs: page, nextPageToken: jobs.length > page.length ? page.at(-1)!.jobId : '' };
  }

  private cancelJob({ jobId, mode }: CancelJobRequest): CancelJobResponse {
    if (mode !== CancelMode.CANCEL_MODE_CHECKPOINT && mode !== CancelMode.CANCEL_MODE_ABORT) {
      const description = `${mode} is not one of CANCEL_MODE_CHECKPOINT, CANCEL_MODE_ABORT`;
      throw refuseFields(status.INVALID_ARGUMENT, [{ field: 'mode', description }]);
    }
    return { job: this.writeState(() => this.store.cancel(this.find(jobId), mode)) };
  }

  private writeState<T>(write: () => T): T {
    try {
      return write();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      throw refuseFullDisk(describeFullDisk(this.store.folder, error));
    }
  }

  private async watchJob(
    call: ServerWritableStream<WatchJobRequest, WatchJobResponse>,
  ): Promise<void> {
    const changes = new Changes();
    call.on('cancelled', () => changes.note());
    this.watchers.add(changes);
    let unlisten: (() => void) | undefined;
    try {
      const request = readRequest(call.request);
      const job = this.find(request.jobId);
      checkCursor(request, this.store.snapshot(job));
      unlisten = job.log.listen(() => changes.note());
      await this.sendEvents(call, job, changes);
      call.end();
    } catch (error) {
      if (!call.cancelled) call.emit('error', asRefusal(error, 'WatchJob').asServiceError());
    } finally {
      this.watchers.delete(changes);
      unlisten?.();
    }
  }

  private async sendEvents(
    call: ServerWritableStream<WatchJobRequest, WatchJobResponse>,
    job: Job,
    changes: Changes,
  ): Promise<void> {
    const send = async (payload: WatchJobResponse['payload']): Promise<void> => {
      // At most one chunk of events is in memory for a slow client.
      if (!call.write({ payload })) await drained(call);
    };
    let cursor = call.request.afterSequence;
    while (!this.stopping && !call.cancelled) {
      changes.clear();
      for (const event of job.log.read(cursor, EVENTS_PER_READ)) {
        if (call.cancelled) return;
        await send({ $case: 'event', value: event });
        cursor = event.sequence;
      }
      const now = this.store.snapshot(job);
      if (cursor < now.lastSequence) continue;
      if (isAtRest(now.state)) return;
      const inTime = await changes.next(HEARTBEAT_MS);
      if (!inTime) await send({ $case: 'heartbeat', value: this.heartbeat(job) });
    }
    if (this.stopping) throw refuseStopping();
  }

  private heartbeat(job: Job): Heartbeat {
    const { state, queuePosition, lastSequence } = this.store.snapshot(job);
    const isRunning = state === JobState.JOB_STATE_RUNNING;
    const secondsSinceWork = isRunning ? this.engine.secondsSinceWork() : 0;
    const { waitingFor } = this.engine;
    return { state, queuePosition, lastSequence, secondsSinceWork, waitingFor };
  }

  private find(jobId: string): Job {
    const job = this.store.find(jobId);
    if (!job)
      throw new Refusal(status.NOT_FOUND, `there is no job ${quoted(jobId)} on this trainer`);
    return job;
  }
}

/** Remembers that something changed, for one waiter. */
class Changes {
  private changed = false;
  private wake: (() => void) | undefined;

  note(): void {
    this.changed = true;
    this.wake?.();
  }

  clear(): void {
    this.changed = false;
  }

  /** Waits for a change since `clear`. Returns whether there was one in time. */
  async next(timeoutMs: number): Promise<boolean> {
    if (this.changed) return true;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = undefined;
    return this.changed;
  }
}

function refuseWhere(
  code: status.INVALID_ARGUMENT | status.FAILED_PRECONDITION,
  violations: ReturnType<typeof invalidFields>,
): void {
  if (violations.length > 0) throw refuseFields(code, violations);
}

function checkCursor({ afterSequence, logId }: WatchJobRequest, job: JobMessage): void {
  if (afterSequence > 0 && logId === '') {
    const description = 'is empty; a cursor above 0 needs the log that it counts in';
    throw refuseFields(status.INVALID_ARGUMENT, [{ field: 'log_id', description }]);
  }
  if (logId !== '' && logId !== job.logId) {
    const message =
      `job ${job.jobId} has the log ${job.logId}, not ${logId}: ` + 'watch it from the beginning';
    throw new Refusal(status.OUT_OF_RANGE, message);
  }
  if (afterSequence > job.lastSequence) {
    const message =
      `event ${afterSequence} is past the end of log ${job.logId}, ` +
      `which has ${job.lastSequence}`;
    throw new Refusal(status.OUT_OF_RANGE, message);
  }
}
