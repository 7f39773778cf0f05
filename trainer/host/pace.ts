/** How often a job reports that it moves, and where it learns that it should stop. */
import type { Phase, TrialStep } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { Interrupted, type JobContext } from './engine';

const MS_BETWEEN_PROGRESS = 500;

/**
 * Limits the rate of one phase's progress events, and passes requests to stop into the working
 * loop.
 */
export class Pace {
  private rows = 0;
  private done = 0;
  private resumed = 0;
  private last = performance.now();

  /** total: units of the phase, over all trials. */
  constructor(
    private readonly context: JobContext,
    private readonly phase: Phase,
    private readonly total: number,
  ) {}

  /** Call it for units that an earlier run has done. Throws Aborted as `advance` does. */
  async resume(units: number): Promise<void> {
    this.resumed += units;
    await this.advance(0, units);
  }

  /**
   * Call it after a pass over `rows` rows that finished `done` units of the phase. Throws Aborted
   * if an abort was requested.
   */
  async advance(rows: number, done: number, trialSteps: TrialStep[] = []): Promise<void> {
    this.rows += rows;
    this.done += done;
    const elapsed = performance.now() - this.last;
    if (elapsed >= MS_BETWEEN_PROGRESS || this.done === this.total) {
      const rowsPerSecond = this.rows / Math.max(elapsed / 1000, 1e-9);
      this.context.emit({
        $case: 'progress',
        value: {
          ...{ phase: this.phase, done: this.done, total: this.total },
          ...{ rowsPerSecond, trialSteps, note: '', resumed: this.resumed },
        },
      });
      this.rows = 0;
      this.last = performance.now();
    }
    await this.context.breathe();
  }

  /**
   * For work without checkpoints: throws Interrupted if a stop was requested. Finished trials are
   * on disk.
   */
  stopBetweenPasses(): void {
    if (this.context.checkpointAsked) throw new Interrupted('stopped on request');
  }
}
