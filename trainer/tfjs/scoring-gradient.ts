/** The gradient for pruners' scores: of the mean loss over a trial's scoring rows. */
import { elements } from '../../common/safetensors';
import { Adapter, type Dataset, type Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Pace } from '../host/pace';
import { permutation } from '../host/random';
import { requireLabels } from '../host/splits';
import { isPrunable, type Layout } from './layout';
import type { LoadedJob } from './loaded-job';
import { lossAndGradient } from './model';

/** Rows per pass. */
const ROWS = 32;

export class ScoringGradients {
  /**
   * Gradients of first rounds, by everything that they depend on; trials that differ only in what
   * follows share them.
   */
  private readonly first = new Map<string, Record<string, Float32Array>>();

  constructor(
    private readonly loaded: LoadedJob,
    private readonly dataset: Dataset,
    private readonly pace: Pace,
  ) {}

  /**
   * The gradient by prunable matrix, at `weights` (a flat vector of the layout), in float32,
   * without dropout.
   */
  async at(
    trial: Trial,
    layout: Layout,
    weights: Float32Array,
    isFirstRound: boolean,
  ): Promise<Record<string, Float32Array>> {
    const rows = this.chooseRows(trial);
    const key = JSON.stringify([trial.seed, Adapter.toJSON(trial.adapter!), rows.length]);
    const known = isFirstRound ? this.first.get(key) : undefined;
    if (known) {
      await this.pace.advance(0, rows.length);
      return known;
    }
    const parts = this.loaded.parts(trial, layout, 'train');
    const sums = Object.entries(layout.prunableShapes).map(
      ([name, shape]) => [name, new Float64Array(elements(shape))] as const,
    );
    for (let at = 0; at < rows.length; at += ROWS) {
      const some = rows.subarray(at, at + ROWS);
      const { gradients } = lossAndGradient(parts, weights, some, isPrunable);
      for (const [name, sum] of sums) {
        gradients[name]!.forEach((value, i) => (sum[i]! += (value * some.length) / rows.length));
      }
      await this.pace.advance(some.length, some.length);
      this.pace.stopBetweenPasses();
    }
    const gradient = Object.fromEntries(
      sums.map(([name, sum]) => [name, Float32Array.from(sum)] as const),
    );
    if (isFirstRound) this.first.set(key, gradient);
    return gradient;
  }

  /** The first rows of a permutation keyed with the seed. */
  private chooseRows(trial: Trial): Int32Array {
    const split = this.loaded.split('train');
    requireLabels(split, this.dataset, 'train');
    const rows = split.offsets.length - 1;
    return permutation(rows, trial.seed, 'scoring rows').subarray(0, trial.prune!.scoringRows);
  }
}
