/**
 * Fetches the newest checkpoints of a job from a trainer with a root of its own while the job runs.
 * It is only insurance: what cannot be fetched now is tried again later, and nothing waits for it.
 */
import type { CheckpointWritten } from '../../gen/ts/sparse_adapter/trainer/v1/event';

/** A checkpoint is what a trainer that is lost may cost, and some MB or GB to move. */
const FETCH_SECONDS = 180;
const LOOK_MS = 1000;
const RETRY_MS = 10_000;

export type FetchCheckpoint = (checkpoint: CheckpointWritten, signal: AbortSignal) => Promise<void>;

export class CheckpointFetcher {
  private readonly fetched = new Map<string, number>();
  private readonly stopping = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private readonly intervalMs: number;
  private nextAt: number;
  private running: Promise<void> = Promise.resolve();
  private isRunning = false;

  /** newest: by trial; it changes while the job runs. */
  constructor(
    private readonly newest: () => ReadonlyMap<string, CheckpointWritten>,
    private readonly fetch: FetchCheckpoint,
    private readonly warn: (error: unknown) => void,
    seconds = FETCH_SECONDS,
  ) {
    this.intervalMs = seconds * 1000;
    this.nextAt = Date.now() + this.intervalMs;
    this.timer = setInterval(() => this.look(), Math.min(LOOK_MS, this.intervalMs || LOOK_MS));
  }

  /** Ends what is being fetched; what has moved of it is kept. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.stopping.abort();
    await this.running;
  }

  /** Fetches what is newer than what was fetched. Throws what the first failure says. */
  async fetchNewest(isWanted: (trial: string) => boolean, signal: AbortSignal): Promise<void> {
    for (const [trial, checkpoint] of [...this.newest()]) {
      if (!isWanted(trial) || checkpoint.step <= (this.fetched.get(trial) ?? -1)) continue;
      await this.fetch(checkpoint, signal);
      this.fetched.set(trial, checkpoint.step);
    }
  }

  private look(): void {
    if (this.isRunning || Date.now() < this.nextAt) return;
    this.isRunning = true;
    this.running = this.fetchInTime().finally(() => (this.isRunning = false));
  }

  private async fetchInTime(): Promise<void> {
    try {
      await this.fetchNewest(() => true, this.stopping.signal);
      this.nextAt = Date.now() + this.intervalMs;
    } catch (error) {
      this.nextAt = Date.now() + Math.min(RETRY_MS, this.intervalMs);
      if (!this.stopping.signal.aborted) this.warn(error);
    }
  }
}
