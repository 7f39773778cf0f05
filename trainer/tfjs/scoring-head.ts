/** The head that weights are scored with: ScoringHead of job.proto. */
import {
  Adapter,
  Dataset,
  LearningRateSchedule,
  ScoringHead,
  TaskKind,
  Train,
  type Prune,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { PRUNERS } from '../../common/vocabulary/pruners';
import { findRow } from '../../common/vocabulary/vocabulary';
import type { Split } from '../host/splits';
import { makeViews, type Layout } from './layout';
import type { LoadedJob } from './loaded-job';
import { headInputs, headLossAndGradient, type HeadInputs } from './model';
import { AdamW } from './optimizer';
import { chooseScoringRows, type Passes } from './scoring-gradient';
import { SharedTensors, type ScoringStore, type Tensors } from './scoring-store';

/** What the contract says of the steps of WARMED_UP. */
const BATCH = 32;
const ADAMW = Train.fromPartial({
  learningRate: 1e-3,
  schedule: LearningRateSchedule.LEARNING_RATE_SCHEDULE_CONSTANT,
  ...{ adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8 },
});
/** How many values that the head reads are kept for later steps; others are computed again. */
const KEPT_VALUES = 64_000_000;

/** How many of `rows` training rows go through the encoder for a trial's head. */
export function countHeadRows({ prune }: Trial, rows: number): number {
  if (!isWarmedUp(prune!)) return 0;
  return Math.min(prune!.scoringRows, rows, BATCH * prune!.scoringHeadSteps);
}

export class ScoringHeads {
  private readonly shared: SharedTensors;

  /** known: warmed-up heads, by everything that they depend on beside the backbone. */
  constructor(
    private readonly loaded: LoadedJob,
    private readonly dataset: Dataset,
    private readonly passes: Passes,
    known: ScoringStore,
  ) {
    this.shared = new SharedTensors(known, passes.reused);
  }

  /** A trial's first weights (a flat vector of the layout), with the head they are scored with. */
  async start(trial: Trial, layout: Layout): Promise<Float32Array> {
    const weights = this.loaded.start(trial, layout);
    const views = makeViews(layout.shapes, weights);
    const { prune } = trial;
    if (readsRows(prune!) && prune!.scoringHead === ScoringHead.SCORING_HEAD_PRIOR)
      views['head.out.bias']!.set(labelPrior(this.loaded.split('train'), this.dataset));
    if (isWarmedUp(prune!)) {
      const head = await this.warmUp(trial, layout, weights);
      for (const [name, values] of Object.entries(head)) views[name]!.set(values);
    }
    return weights;
  }

  private async warmUp(trial: Trial, layout: Layout, weights: Float32Array): Promise<Tensors> {
    const { seed, adapter, prune, train } = trial;
    const rows = chooseScoringRows(trial, this.loaded.split('train'), this.dataset);
    const { scoringHeadSteps: steps } = prune!;
    const made = [
      ...['head', seed, Adapter.toJSON(adapter!), rows.length, steps, train!.labelSmoothing],
      Dataset.toJSON(this.dataset),
    ];
    return this.shared.take(JSON.stringify(made), countHeadRows(trial, rows.length), () =>
      this.train(trial, layout, weights, rows),
    );
  }

  private async train(
    trial: Trial,
    layout: Layout,
    weights: Float32Array,
    rows: Int32Array,
  ): Promise<Tensors> {
    const parts = this.loaded.parts(trial, layout, 'train');
    const own = Object.entries(makeViews(layout.shapes, weights)).filter(([name]) =>
      name.startsWith('head.'),
    );
    const shapes = Object.fromEntries(own.map(([name]) => [name, layout.shapes[name]!]));
    const isTrained = (name: string): boolean => !layout.frozen.has(name);
    const head = new Float32Array(own.reduce((sum, [, { length }]) => sum + length, 0));
    const trained = makeViews(shapes, head);
    for (const [name, view] of own) trained[name]!.set(view);
    const gradient = new Float32Array(head.length);
    const slopes = makeViews(shapes, gradient);
    const moments = () => new Float32Array(head.length);
    const optimizer = new AdamW(moments(), moments(), 0, head.length);
    const batches = listBatches(rows);
    const kept = new Map<number, HeadInputs>();
    let room = KEPT_VALUES;
    for (let step = 0; step < trial.prune!.scoringHeadSteps; step++) {
      const index = step % batches.length;
      const batch = batches[index]!;
      const inputs = kept.get(index) ?? headInputs(parts, weights, batch);
      if (!kept.has(index) && inputs.hidden.length <= room) {
        kept.set(index, inputs);
        room -= inputs.hidden.length;
      }
      const { gradients } = headLossAndGradient(parts, shapes, head, inputs, isTrained);
      // Without a gradient and without weight decay, a frozen tensor stays as it is.
      for (const [name, values] of Object.entries(gradients)) slopes[name]!.set(values);
      optimizer.update(head, gradient, 1, ADAMW, step + 1, ADAMW.learningRate);
      await this.passes.passed(step < batches.length ? batch.length : 0);
    }
    return trained;
  }
}

/** A field that a pruner does not use is ignored. */
const readsRows = ({ pruner }: Prune): boolean =>
  findRow(PRUNERS, pruner)?.uses.includes('scoring_rows') ?? false;

const isWarmedUp = (prune: Prune): boolean =>
  readsRows(prune) && prune.scoringHead === ScoringHead.SCORING_HEAD_WARMED_UP;

/** The rows in their order, 32 at a time. */
function listBatches(rows: Int32Array): Int32Array[] {
  return Array.from({ length: Math.ceil(rows.length / BATCH) }, (_, i) =>
    rows.subarray(i * BATCH, (i + 1) * BATCH),
  );
}

/** log((n_c + 1) / (n + C)) of each class c, or the mean of the numbers. */
function labelPrior({ labels }: Split, { taskKind, numLabels }: Dataset): number[] {
  const own = labels[0]!;
  if (taskKind === TaskKind.TASK_KIND_REGRESSION) {
    let sum = 0;
    for (const label of own) sum += label;
    return [sum / own.length];
  }
  const counts = new Array<number>(numLabels).fill(0);
  for (const label of own) counts[label]!++;
  return counts.map((count) => Math.log((count + 1) / (own.length + numLabels)));
}
