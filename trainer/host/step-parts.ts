/** Which rows a step of training takes: Train of job.proto. */
import type { Train } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { permutation } from './random';

/** Rows of the train split, int32 [n], whose mean loss counts with its share in a step's loss. */
export interface StepPart {
  rows: Int32Array;
  share: number;
}

export class StepParts {
  private order: { epoch: number; rows: Int32Array } = { epoch: -1, rows: new Int32Array() };

  /** rows: of the split. */
  constructor(
    private readonly train: Train,
    private readonly rows: number,
    private readonly seed: number,
  ) {}

  /** The batches of the step after `done` others, each in its parts. */
  next(done: number): StepPart[] {
    const many = this.train.accumulatedBatches || 1;
    return this.nextBatches(done).flatMap((rows) => {
      const size = Math.ceil(rows.length / (this.train.lossParts || 1));
      const parts = Math.ceil(rows.length / size);
      return Array.from({ length: parts }, (_, i) => ({
        rows: rows.slice(i * size, (i + 1) * size),
        share: 1 / (many * parts),
      }));
    });
  }

  /**
   * Rows of a batch, counted from training's first: the next batch_size of the epoch's permutation,
   * or what is left in the epoch's last one.
   */
  protected batchOf(index: number): Int32Array {
    const batch = this.train.batchSize;
    const batches = Math.ceil(this.rows / batch);
    const [epoch, place] = [Math.floor(index / batches), index % batches];
    if (epoch !== this.order.epoch)
      this.order = { epoch, rows: permutation(this.rows, this.seed, 'order', epoch) };
    return this.order.rows.slice(place * batch, (place + 1) * batch);
  }

  /** More than one if the trial accumulates them. */
  private nextBatches(done: number): Int32Array[] {
    const many = this.train.accumulatedBatches || 1;
    const batches = Math.ceil(this.rows / this.train.batchSize);
    const steps = Math.max(Math.floor(batches / many), 1);
    const [epoch, step] = [Math.floor(done / steps), done % steps];
    const first = epoch * batches + step * many;
    // What the epoch before has left over comes first.
    const begin = many > 1 && step === 0 && epoch > 0 ? first - (batches % many) : first;
    const end = Math.min(first + many, (epoch + 1) * batches);
    return Array.from({ length: end - begin }, (_, i) => this.batchOf(begin + i));
  }
}
