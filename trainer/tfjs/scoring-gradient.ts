/** Gradients for pruners' scores: of the loss of a trial's scoring rows, and of each row's. */
import { elements } from '../../common/safetensors';
import { Adapter, Dataset, type Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { permutation } from '../host/random';
import { requireLabels, type Split } from '../host/splits';
import { ScoringStore, SharedTensors, type Tensors } from './scoring-store';
import type { Layout } from './layout';
import type { LoadedJob } from './loaded-job';
import { lossAndGradient } from './model';

/** Rows per pass, at most, for the gradient of the mean loss. */
const ROWS = 32;

type Wanted = (name: string) => boolean;

/** Who is told of passes over scoring rows. */
export interface Passes {
  /** Awaited after each; if it throws, scoring ends. */
  passed(this: void, rows: number): Promise<void>;
  /**
   * Likewise, where a pass counts for so many rows that another trial has made, of this job or of
   * an earlier one.
   */
  reused(this: void, rows: number, wasEarlier: boolean): Promise<void>;
}

/** How passes over the scoring rows are summed. */
interface Summing {
  name: string;
  /** Rows per pass, at most. */
  rows: number;
  /** Adds a pass over `rows` of a batch's `all`. */
  add(this: void, sum: Float64Array, gradient: Float32Array, rows: number, all: number): void;
}

const MEAN: Summing = {
  name: 'mean',
  rows: ROWS,
  add: (sum, gradient, rows, all) => {
    for (let i = 0; i < sum.length; i++) sum[i]! += (gradient[i]! * rows) / all;
  },
};

const SQUARES: Summing = {
  name: 'squares',
  rows: 1,
  add: (sum, gradient) => {
    for (let i = 0; i < sum.length; i++) sum[i]! += gradient[i]! * gradient[i]!;
  },
};

export class ScoringGradients {
  private readonly first: SharedTensors;

  /**
   * first: sums of first rounds, by everything that they depend on beside the backbone; trials that
   * differ only in what follows share them. Those on given rows are for this object alone.
   */
  constructor(
    private readonly loaded: LoadedJob,
    private readonly dataset: Dataset,
    private readonly passes: Passes,
    private readonly rows?: Int32Array,
    first = new ScoringStore(),
  ) {
    this.first = new SharedTensors(first, passes.reused);
  }

  /**
   * The gradient of L of Prune in job.proto by the `wanted` tensors, at `weights` (a flat vector of
   * the layout), in float32, without dropout.
   */
  at(
    trial: Trial,
    layout: Layout,
    weights: Float32Array,
    wanted: Wanted,
    isFirst: boolean,
  ): Promise<Tensors> {
    return this.sum(MEAN, trial, layout, weights, wanted, isFirst);
  }

  /** Likewise: the sum of the squares of each row's gradient. */
  squaredAt(
    trial: Trial,
    layout: Layout,
    weights: Float32Array,
    wanted: Wanted,
    isFirst: boolean,
  ): Promise<Tensors> {
    return this.sum(SQUARES, trial, layout, weights, wanted, isFirst);
  }

  private async sum(
    summing: Summing,
    trial: Trial,
    layout: Layout,
    weights: Float32Array,
    wanted: Wanted,
    isFirst: boolean,
  ): Promise<Tensors> {
    const rows = this.rows ?? chooseScoringRows(trial, this.loaded.split('train'), this.dataset);
    const { seed, adapter, prune, train } = trial;
    const made = [
      ...[summing.name, seed, Adapter.toJSON(adapter!), rows.length, prune!.scoringBatch],
      ...[prune!.scoringHead, prune!.scoringHeadSteps, train!.labelSmoothing],
      Dataset.toJSON(this.dataset),
    ];
    const pass = async (): Promise<Tensors> => {
      const parts = this.loaded.parts(trial, layout, 'train');
      const sums = Object.entries(layout.shapes)
        .filter(([name]) => wanted(name))
        .map(([name, shape]) => [name, new Float64Array(elements(shape))] as const);
      for (const { some, all } of listPasses(rows, prune!.scoringBatch, summing.rows)) {
        const { gradients } = lossAndGradient(parts, weights, some, wanted);
        for (const [name, sum] of sums) summing.add(sum, gradients[name]!, some.length, all);
        await this.passes.passed(some.length);
      }
      return Object.fromEntries(sums.map(([name, sum]) => [name, Float32Array.from(sum)] as const));
    };
    return isFirst ? this.first.take(JSON.stringify(made), rows.length, pass) : pass();
  }
}

/** The first rows of a permutation keyed with the seed. split: the training rows. */
export function chooseScoringRows(trial: Trial, split: Split, dataset: Dataset): Int32Array {
  requireLabels(split, dataset, 'train');
  const rows = split.offsets.length - 1;
  return permutation(rows, trial.seed, 'scoring rows').subarray(0, trial.prune!.scoringRows);
}

/**
 * The rows of each pass, at most `most`, and how many its batch has. A pass has rows of one batch;
 * batch: rows of each, or 0 if all are one.
 */
function listPasses(
  rows: Int32Array,
  batch: number,
  most: number,
): { some: Int32Array; all: number }[] {
  const passes: { some: Int32Array; all: number }[] = [];
  for (let at = 0; at < rows.length; at += batch || rows.length) {
    const own = rows.subarray(at, at + (batch || rows.length));
    for (let i = 0; i < own.length; i += most)
      passes.push({ some: own.subarray(i, i + most), all: own.length });
  }
  return passes;
}
