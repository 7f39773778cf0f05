/** When checkpoints are due by time. */

/**
 * The first checkpoint of a run; each later one comes when the run has lasted twice as long, up to
 * the requested interval. So a run that ends early has still got somewhere.
 */
const FIRST_SECONDS = 10;
/**
 * The next checkpoint waits for this many times the seconds that writing the last one took, so that
 * writing takes less than 5 % of the time.
 */
const TIMES_THE_COST = 20;

export class CheckpointClock {
  private readonly began: number;
  private last: number;
  private cost = 0;

  /** interval: seconds between checkpoints; 0 for never. now: a clock, in seconds. */
  constructor(
    private readonly interval: number,
    private readonly now: () => number = () => performance.now() / 1000,
  ) {
    this.began = this.last = now();
  }

  /** Whether a checkpoint should be written now. */
  isDue(): boolean {
    if (this.interval === 0) return false;
    const wait = Math.min(this.interval, Math.max(FIRST_SECONDS, this.last - this.began));
    return this.now() - this.last >= Math.max(wait, TIMES_THE_COST * this.cost);
  }

  /** Notes that a checkpoint has just been written, which took this many seconds. */
  wrote(seconds: number): void {
    this.last = this.now();
    this.cost = seconds;
  }
}
