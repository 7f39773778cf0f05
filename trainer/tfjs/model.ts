/** A pass over some rows: logits, or the loss with its gradient. Frees every tensor at its end. */
import type { Adapter, TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { TaskKind as Kind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Split } from '../host/splits';
import type { Backbone } from './backbone';
import { encode } from './encoder';
import { makeViews, type Layout, type Shapes } from './layout';
import { hasBackbone } from '../host/adapter-parts';
import { computeLoss } from './losses';
import type { Dropout } from './module-parts';
import { headLogits, TrialModules } from './modules';
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
  parts: TrialParts,
  weights: Float32Array,
  rows: ArrayLike<number>,
  wanted: (name: string) => boolean,
  dropout?: Dropout,
): Found {
  const { backbone, split, taskKind, adapter, layout } = parts;
  let found!: Found;
  tf.tidy(() => {
    const tape = new Tape(true);
    const leaves = listLeaves(layout.shapes, weights, wanted);
    const pack = packRows(split, rows, findPadding(adapter, backbone));
    const modules = new TrialModules(tape, adapter, leaves, dropout);
    const trained = hasBackbone(adapter) ? trainedBackbone(tape, backbone, leaves) : backbone;
    const logits = forward(tape, trained, pack, modules, taskKind);
    found = differentiate(tape, logits, leaves, parts, {
      labels: pickLabels(split, pack, rows),
      lengths: pack.lengths,
    });
  });
  return found;
}

/** What is to be learned from some rows: labels as in Split, and the tokens of each row. */
interface Learned {
  labels: number[][];
  lengths: number[];
}

/** What the head reads of some rows, shortest first, and what is to be learned from them. */
export interface HeadInputs extends Learned {
  hidden: Float32Array;
  /** [rows, d] or, for QUESTION_ANSWERING, [tokens, d]. */
  shape: number[];
}

/** What the head reads of these rows, without dropout. */
export function headInputs(
  parts: TrialParts,
  weights: Float32Array,
  rows: ArrayLike<number>,
): HeadInputs {
  const { split, taskKind } = parts;
  return tf.tidy(() => {
    const { tape, pack, modules, trained } = fixWeights(parts, weights, rows);
    const everyToken = taskKind === Kind.TASK_KIND_QUESTION_ANSWERING;
    const { tensor } = encode(tape, trained, pack, modules, everyToken);
    return {
      hidden: tensor.dataSync() as Float32Array,
      shape: tensor.shape,
      labels: pickLabels(split, pack, rows),
      lengths: pack.lengths,
    } as never;
  });
}

/**
 * The mean loss over rows of which the head reads these inputs, without dropout, and its gradient
 * by the `wanted` tensors of the head (a flat vector of these shapes).
 */
export function headLossAndGradient(
  parts: Pick<TrialParts, 'taskKind' | 'labelSmoothing'>,
  shapes: Shapes,
  head: Float32Array,
  { hidden, shape, ...learned }: HeadInputs,
  wanted: (name: string) => boolean,
): Found {
  let found!: Found;
  tf.tidy(() => {
    const tape = new Tape(true);
    const leaves = listLeaves(shapes, head, wanted);
    const read = new Value(tf.tensor(hidden, shape), false);
    found = differentiate(tape, headLogits(tape, leaves, read), leaves, parts, learned);
  });
  return found;
}

function pickLabels(split: Split, pack: PackedRows, rows: ArrayLike<number>): number[][] {
  return split.labels.map((values) => pack.order.map((i) => values[rows[i]!]!));
}

/** The mean loss of these logits, and its gradient by those leaves that need one. */
function differentiate(
  tape: Tape,
  logits: Value,
  leaves: Record<string, Value>,
  { taskKind, labelSmoothing }: Pick<TrialParts, 'taskKind' | 'labelSmoothing'>,
  { labels, lengths }: Learned,
): Found {
  const values = logits.tensor.dataSync() as Float32Array;
  const { mean, slopes } = computeLoss(taskKind, values, labels, lengths, labelSmoothing);
  const found: Found = { loss: mean, gradients: {} };
  tape.backward(logits, tf.tensor(slopes, logits.tensor.shape));
  for (const [name, { gradient, needsGradient, tensor }] of Object.entries(leaves)) {
    if (needsGradient)
      found.gradients[name] = gradient
        ? (gradient.dataSync() as Float32Array)
        : new Float32Array(tensor.size);
  }
  return found;
}

/** What a pass over these rows takes that has no gradient and no dropout. */
function fixWeights(
  { backbone, split, adapter, layout }: TrialParts,
  weights: Float32Array,
  rows: ArrayLike<number>,
) {
  const tape = new Tape(false);
  const pack = packRows(split, rows, findPadding(adapter, backbone));
  const leaves = listLeaves(layout.shapes, weights, () => false);
  const modules = new TrialModules(tape, adapter, leaves);
  const trained = hasBackbone(adapter) ? trainedBackbone(tape, backbone, leaves) : backbone;
  return { tape, pack, modules, trained };
}

/**
 * Logits of these rows in the given order, without dropout: num_labels values per row or, for
 * QUESTION_ANSWERING, per token of the row.
 */
export function predict(
  parts: TrialParts,
  weights: Float32Array,
  rows: ArrayLike<number>,
): Float32Array[] {
  const { taskKind } = parts;
  return tf.tidy(() => {
    const { tape, pack, modules, trained } = fixWeights(parts, weights, rows);
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
  shapes: Shapes,
  weights: Float32Array,
  wanted: (name: string) => boolean,
): Record<string, Value> {
  const views = Object.entries(makeViews(shapes, weights));
  return Object.fromEntries(
    views.map(([name, view]) => [name, new Value(tf.tensor(view, shapes[name]), wanted(name))]),
  );
}
