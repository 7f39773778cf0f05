/** A pass over some rows: logits, or the loss with its gradient. Frees every tensor at its end. */
import type { Adapter, TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { TaskKind as Kind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Split } from '../host/splits';
import type { Backbone } from './backbone';
import { encode } from './encoder';
import { makeViews, type Layout } from './layout';
import { hasBackbone } from '../host/adapter-parts';
import { computeLoss } from './losses';
import type { Dropout } from './module-parts';
import { TrialModules } from './modules';
import { packRows, type PackedRows, type Padding } from './packed-rows';
import { Tape, Value } from './tape';
import { tf } from './tensorflow';
import { trainedBackbone } from './trained-backbone';

/** What a trial's passes share. */
export interface TrialParts {
  backbone: Backbone;
  split: Split;
  taskKind: TaskKind;
  adapter: Adapter;
  layout: Layout;
  labelSmoothing: number;
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
  { backbone, split, taskKind, adapter, layout, labelSmoothing }: TrialParts,
  weights: Float32Array,
  rows: ArrayLike<number>,
  wanted: (name: string) => boolean,
  dropout?: Dropout,
): Found {
  const found: Found = { loss: NaN, gradients: {} };
  tf.tidy(() => {
    const tape = new Tape(true);
    const leaves = listLeaves(layout, weights, wanted);
    const pack = packRows(split, rows, findPadding(adapter, backbone));
    const modules = new TrialModules(tape, adapter, leaves, dropout);
    const trained = hasBackbone(adapter) ? trainedBackbone(tape, backbone, leaves) : backbone;
    const logits = forward(tape, trained, pack, modules, taskKind);
    const labels = split.labels.map((values) => pack.order.map((i) => values[rows[i]!]!));
    const { mean, slopes } = computeLoss(
      taskKind,
      logits.tensor.dataSync() as Float32Array,
      labels,
      pack.lengths,
      labelSmoothing,
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
    const pack = packRows(split, rows, findPadding(adapter, backbone));
    const leaves = listLeaves(layout, weights, () => false);
    const modules = new TrialModules(tape, adapter, leaves);
    const trained = hasBackbone(adapter) ? trainedBackbone(tape, backbone, leaves) : backbone;
    const logits = forward(tape, trained, pack, modules, taskKind).tensor;
    const values = logits.dataSync() as Float32Array;
    const outputs = logits.shape[1]!;
    const ofTokens = taskKind === Kind.TASK_KIND_QUESTION_ANSWERING;
    const found = new Array<Float32Array>(pack.rows);
    let at = 0;
    pack.order.forEach((i, row) => {
      // Padding comes after a row's own tokens.
      found[i] = values.slice(at, at + (ofTokens ? pack.own[row]! : 1) * outputs);
      at += (ofTokens ? pack.lengths[row]! : 1) * outputs;
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

/**
 * How rows are padded, if they are. BERT counts padding's positions, RoBERTa has a place for it.
 */
function findPadding(adapter: Adapter, backbone: Backbone): Padding | undefined {
  if (adapter.paddedTokens === 0) return undefined;
  const { paddingToken: token, positionOffset } = backbone;
  return { tokens: adapter.paddedTokens, token, countsPlaces: positionOffset === 0 };
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
