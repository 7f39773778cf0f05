/** Runs a store's jobs on an engine in a separate process, and restarts that process if it dies. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { FailureReason, JobState } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { NoSuchDevice, type EngineCapabilities, type EngineEvent } from './engine';
import type { EngineStart, FromEngine, Outcome, ToEngine } from './engine-messages';
import { describeFullDisk, isDiskFull } from '../../common/disk-space';
import type { Job } from './job';
import type { JobStore } from './jobs';
import { log } from './log';
import { WorkCounts } from './metrics';

const MS_BETWEEN_TRIES = 1000;

/** The engine cannot work here; the message is the engine's. */
export class EngineBroken extends Error {
  readonly exitCode = 1;
}

/** How often a job is looked at before it counts as stuck. */
const LOOKS = 20;
/** Node takes a longer interval for one of 1 ms. */
const LONGEST_PAUSE_MS = 2 ** 31 - 1;

interface Current {
  job: Job;
  spec: JobSpec;
  /** Trials that have no result yet. */
  silent: Set<string>;
  told: CancelMode;
}

export class EngineRunner {
  /** What the engine has done, for whoever asks. */
  readonly counts = new WorkCounts();
  private child: ChildProcess | undefined;
  private isReady = false;
  private store: JobStore | undefined;
  private current: Current | undefined;
  private lastMoved = performance.now();
  /** Messages of the engine that could not be recorded yet because the disk is full, in order. */
  private readonly unrecorded: (() => void)[] = [];
  /** For people: what the engine, or the host itself, waits for; empty if neither waits. */
  waitingFor = '';
  /** When to try again to start a job, while the disk is full. */
  private nextTry: NodeJS.Timeout | undefined;
  private rest: NodeJS.Timeout | undefined;
  /** Whether the engine's process has ended because there was nothing to do. */
  private isResting = false;
  private isStopping = false;
  private isKilled = false;
  private stillLooks = 0;
  private lastLook = performance.now();

  /**
   * stallAfterSeconds: a run whose loop has not moved for this long is ended. unloadAfterMinutes:
   * without a job for this long, the engine's process ends until the next one; 0: never. fatal:
   * called if the engine cannot be restarted, because a trainer without an engine must not look
   * alive.
   */
  constructor(
    private readonly options: EngineStart,
    private readonly stallAfterSeconds: number,
    private readonly unloadAfterMinutes: number,
    private readonly fatal: (error: Error) => void,
  ) {}

  /** Starts the engine. Rejects with NoSuchDevice, or with EngineBroken if it cannot work here. */
  async start(): Promise<EngineCapabilities> {
    const child = fork(require.resolve('./engine-process'), [JSON.stringify(this.options)], {
      execArgv: ['--enable-source-maps'],
      serialization: 'advanced',
      // stdout is for the host's one line.
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    this.child = child;
    const capabilities = await new Promise<EngineCapabilities>((resolve, reject) => {
      child.on('message', (message: FromEngine) => {
        if (message.$case === 'ready') resolve(message.capabilities);
        else if (message.$case === 'broken')
          reject(
            message.isDevice
              ? new NoSuchDevice(message.message)
              : new EngineBroken(message.message),
          );
      });
      child.on('exit', (status, signal) =>
        reject(
          new EngineBroken(`the engine ended while it started (${signal ?? `status ${status}`})`),
        ),
      );
    });
    child.removeAllListeners();
    child.on('message', (message: FromEngine) => this.hear(message));
    child.on('exit', (status, signal) => this.childEnded(signal ?? `status ${status}`));
    this.isReady = true;
    this.restWhenIdle();
    return capabilities;
  }

  /** Starts taking jobs. */
  work(store: JobStore): void {
    this.store = store;
    store.onWork(() => this.next());
    const pause = (this.stallAfterSeconds * 1000) / LOOKS;
    setInterval(() => this.look(), Math.min(pause, LONGEST_PAUSE_MS));
    this.next();
  }

  /**
   * Looks whether the running job has moved, and restarts the engine if it has not for long. Looks
   * are counted, not seconds: a process that was stopped, or a laptop that slept, is not stuck. Nor
   * is one that waits for room on a disk.
   */
  private look(): void {
    const hasMoved = this.lastMoved >= this.lastLook;
    this.lastLook = performance.now();
    const isStill = this.isReady && this.current && !hasMoved && this.waitingFor === '';
    this.stillLooks = isStill ? this.stillLooks + 1 : 0;
    if (!this.current || this.stillLooks < LOOKS) return;
    const { job } = this.current;
    const still = `job ${job.record.jobId} has not moved for ${this.stallAfterSeconds} s`;
    log('ERROR', `${still}: restarting the engine`);
    this.isReady = false;
    // Whatever it still says is of a run that has ended.
    this.child!.removeAllListeners('message');
    this.child!.kill('SIGKILL');
    this.record(() => {
      this.store!.endStalledRun(job, this.stallAfterSeconds);
      this.end(job);
    });
  }

  /** Ends the engine's process once no job has come for long. Called whenever one has ended. */
  private restWhenIdle(): void {
    clearTimeout(this.rest);
    if (this.unloadAfterMinutes === 0) return;
    this.rest = setTimeout(
      () => {
        if (!this.isReady || this.current || this.isStopping) return;
        log('INFO', `idle for ${this.unloadAfterMinutes} minutes: the engine's process ends`);
        this.isReady = false;
        this.isResting = true;
        this.child!.removeAllListeners();
        this.child!.kill('SIGKILL');
      },
      Math.min(this.unloadAfterMinutes * 60_000, LONGEST_PAUSE_MS),
    );
  }

  /** Starts the engine again for a job. */
  private wake(): void {
    if (this.isStopping) return;
    this.isResting = false;
    this.start().then(
      () => this.next(),
      (error: Error) => {
        // stop() kills an engine that starts, too.
        if (!this.isStopping) this.fatal(error);
      },
    );
  }

  /** How long ago the running job's loop last moved. */
  secondsSinceWork(): number {
    return (performance.now() - this.lastMoved) / 1000;
  }

  /**
   * Waits for the running job's end after JobStore.stop, at most this long, then kills the engine.
   */
  async stop(timeoutSeconds: number): Promise<void> {
    this.isStopping = true;
    const deadline = performance.now() + timeoutSeconds * 1000;
    while (this.current && performance.now() < deadline) await sleep(20);
    const { child } = this;
    if (child && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      // This loses nothing of a finished job, and nothing else stops a stuck one.
      this.isKilled = true;
      child.kill('SIGKILL');
      await exited;
    }
  }

  /** Starts the next job if none is running, and passes on requests to stop the running one. */
  private next(): void {
    const { store } = this;
    if (this.isResting && store?.isWaiting()) this.wake();
    if (!store || !this.isReady) return;
    if (!this.current) {
      const job = this.take(store);
      if (!job) return;
      const spec = job.spec();
      const silent = new Set(spec.trials.map(({ trialId }) => trialId));
      this.current = { job, spec, silent, told: CancelMode.CANCEL_MODE_UNSPECIFIED };
      this.lastMoved = performance.now();
      this.tell({ $case: 'run', spec });
    }
    const { job } = this.current;
    if (this.current.told === job.cancelMode) return;
    this.current.told = job.cancelMode;
    this.tell({
      $case: 'stop',
      how: job.cancelMode === CancelMode.CANCEL_MODE_ABORT ? 'abort' : 'checkpoint',
    });
  }

  private take(store: JobStore): Job | undefined {
    try {
      return store.take();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.waitForRoom(store, error);
      this.nextTry ??= setTimeout(() => {
        this.nextTry = undefined;
        this.next();
      }, MS_BETWEEN_TRIES);
      return undefined;
    }
  }

  /**
   * Records what the engine did, in order; on a full disk, as soon as there is room. The engine
   * goes on meanwhile.
   */
  private record(write: () => void): void {
    if (this.unrecorded.push(write) === 1) this.recordNext();
  }

  private recordNext(): void {
    try {
      for (let write = this.unrecorded[0]; write; write = this.unrecorded[0]) {
        write();
        this.unrecorded.shift();
      }
      this.waitingFor = '';
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.waitForRoom(this.store!, error);
      setTimeout(() => this.recordNext(), MS_BETWEEN_TRIES);
    }
  }

  private waitForRoom({ folder }: JobStore, error: NodeJS.ErrnoException): void {
    const reason = describeFullDisk(folder, error);
    if (this.waitingFor === '') log('WARNING', reason);
    this.waitingFor = reason;
  }

  private tell(message: ToEngine): void {
    // If the process is already dead, its exit event reports it.
    this.child!.send(message, () => undefined);
  }

  private hear(message: FromEngine): void {
    this.lastMoved = performance.now();
    switch (message.$case) {
      case 'event':
        this.counts.note(message.event);
        return this.record(() => this.recordEvent(message.event));
      case 'ended':
        return this.record(() => this.recordEnd(message.outcome));
      case 'waiting':
        if (this.waitingFor === '') log('WARNING', message.reason);
        this.waitingFor = message.reason;
        return;
      case 'moved':
        if (this.unrecorded.length === 0) this.waitingFor = '';
        return;
      case 'ready':
      case 'broken':
        return;
    }
  }

  private recordEvent(event: EngineEvent): void {
    this.store!.emit(this.current!.job, event);
    if (event.$case === 'trialResult') this.current!.silent.delete(event.value.trialId);
  }

  private recordEnd(outcome: Outcome): void {
    const { job, silent } = this.current!;
    const store = this.store!;
    switch (outcome.$case) {
      case 'done':
        if (silent.size > 0) {
          const names = [...silent].join(', ');
          const message = `a fault in the trainer: the engine reported no result for ${names}`;
          store.finish(job, JobState.JOB_STATE_FAILED, {
            failure: { reason: FailureReason.FAILURE_REASON_INTERNAL, message },
          });
        } else {
          store.finish(job, JobState.JOB_STATE_SUCCEEDED);
        }
        break;
      case 'interrupted':
        store.finish(job, JobState.JOB_STATE_INTERRUPTED, {
          detail: 'stopped on request; it goes on from what is on disk',
        });
        break;
      case 'aborted':
        store.finish(job, JobState.JOB_STATE_CANCELLED, { detail: 'cancelled' });
        break;
      case 'failed':
        store.finish(job, JobState.JOB_STATE_FAILED, { failure: outcome.failure });
        break;
    }
    this.end(job);
    this.restWhenIdle();
    this.next();
  }

  private childEnded(how: string): void {
    this.isReady = false;
    if (this.isKilled) return;
    log('ERROR', `the engine's process ended (${how})`);
    // The engine may have ended the job before it died.
    this.record(() => {
      if (this.current) {
        const { job } = this.current;
        this.store!.lose(job, `the engine's process ended (${how})`);
        this.end(job);
      }
      this.wake();
    });
  }

  /** Once the end of a run is on disk. */
  private end(job: Job): void {
    this.counts.noteEnd(job.record.state);
    this.current = undefined;
  }
}
