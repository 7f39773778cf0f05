/** A job with its backbone and splits in memory, as every kind of work needs it. */
import type { JobSpec, Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Split } from '../host/splits';
import type { Backbone } from './backbone';
import { initialWeights } from './initial-weights';
import { buildLayout, type Layout } from './layout';
import type { TrialParts } from './model';

export class LoadedJob {
  constructor(
    private readonly spec: JobSpec,
    readonly backbone: Backbone,
    private readonly splits: ReadonlyMap<string, Split>,
  ) {}

  split(name: string): Split {
    return this.splits.get(name)!;
  }

  layout(trial: Trial): Layout {
    const { numLabels, taskKind } = this.spec.dataset!;
    return buildLayout(trial.adapter!, this.backbone, numLabels, taskKind);
  }

  /** A trial's initial weights, unmasked; redrawn: with new prunable ones (Prune.reinitialize). */
  start(trial: Trial, layout: Layout, redrawn = false): Float32Array {
    return initialWeights(trial, layout, this.backbone, redrawn);
  }

  parts(trial: Trial, layout: Layout, split: string): TrialParts {
    return {
      backbone: this.backbone,
      split: this.split(split),
      taskKind: this.spec.dataset!.taskKind,
      adapter: trial.adapter!,
      layout,
      labelSmoothing: trial.train!.labelSmoothing,
    };
  }
}
