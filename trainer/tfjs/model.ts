/** A pass over some rows: logits, or the loss with its gradient. Frees every tensor at its end. */
import type { Adapter, TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { TaskKind as Kind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Split } from '../host/splits';
import type { Backbone } from './backbone';
import { encode } from './encoder';
import { makeViews, type Layout } from './layout';
import { computeLoss } from './losses';
import { TrialModules, type Dropout } from './modules';
import { packRows, type PackedRows } from './packed-rows';
import { Tape, Value } from './tape';
import { tf } from './tensorflow';

/** What a trial's passes share. */
export interface TrialParts {
  backbone: Backbone;
  split: Split;
  taskKind: TaskKind;
  adapter: Adapter;
  layout: Layout;
}

interface Found {
  /** The mean over the rows. */
  loss: number;
  /** By name, for the requested tensors, as flat values of their shapes. */
  gradients: Record<string, Float32Array>;
}

/**
 * The mean loss over these rows and its gradient by the `wanted` tensors of `weights` (a flat
 * vector of the layout).
 */
export function lossAndGradient(
  { backbone, split, taskKind, adapter, layout }: TrialParts,
  weights: Float32Array,
  rows: ArrayLike<number>,
  wanted: (name: string) => boolean,
  dropout?: Dropout,
): Found {
  const found: Found = { loss: NaN, gradients: {} };
  tf.tidy(() => {
    const tape = new Tape(true);
    const leaves = listLeaves(layout, weights, wanted);
    const pack = packRows(split, rows);
    const logits = forward(
      tape,
      backbone,
      pack,
      new TrialModules(tape, adapter, leaves, dropout),
      taskKind,
    );
    const labels = split.labels.map((values) => pack.order.map((i) => values[rows[i]!]!));
    const { mean, slopes } = computeLoss(
      taskKind,
      logits.tensor.dataSync() as Float32Array,
      labels,
      pack.lengths,
    );
    found.loss = mean;
    tape.backward(logits, tf.tensor(slopes, logits.tensor.shape));
    for (const [name, { gradient, needsGradient, tensor }] of Object.entries(leaves)) {
      if (needsGradient)
        found.gradients[name] = gradient
          ? (gradient.dataSync() as Float32Array)
          : new Float32Array(tensor.size);
    }
  });
  return found;
}

/**
 * Logits of these rows in the given order, without dropout: num_labels values per row or, for
 * QUESTION_ANSWERING, per token of the row.
 */
export function predict(
  { backbone, split, taskKind, adapter, layout }: TrialParts,
  weights: Float32Array,
  rows: ArrayLike<number>,
): Float32Array[] {
  return tf.tidy(() => {
    const tape = new Tape(false);
    const pack = packRows(split, rows);
    const modules = new TrialModules(
      tape,
      adapter,
      listLeaves(layout, weights, () => false),
    );
    const logits = forward(tape, backbone, pack, modules, taskKind).tensor;
    const values = logits.dataSync() as Float32Array;
    const found = new Array<Float32Array>(pack.rows);
    let at = 0;
    pack.order.forEach((i, row) => {
      const count =
        (taskKind === Kind.TASK_KIND_QUESTION_ANSWERING ? pack.lengths[row]! : 1) *
        logits.shape[1]!;
      found[i] = values.slice(at, at + count);
      at += count;
    });
    return found as never;
  });
}

function forward(
  tape: Tape,
  backbone: Backbone,
  pack: PackedRows,
  modules: TrialModules,
  taskKind: TaskKind,
): Value {
  return modules.logits(
    encode(tape, backbone, pack, modules, taskKind === Kind.TASK_KIND_QUESTION_ANSWERING),
  );
}

function listLeaves(
  layout: Layout,
  weights: Float32Array,
  wanted: (name: string) => boolean,
): Record<string, Value> {
  const views = Object.entries(makeViews(layout.shapes, weights));
  return Object.fromEntries(
    views.map(([name, view]) => [
      name,
      new Value(tf.tensor(view, layout.shapes[name]), wanted(name)),
    ]),
  );
}
