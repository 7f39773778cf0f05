/**
 * The loss of a step and its derivative by the logits, in float64, because logits are few. labels
 * are as in Split, of the rows in the logits' order.
 */
import { TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';

export interface Loss {
  /** The mean over the rows. */
  mean: number;
  /** The derivative by each logit, in the logits' order. */
  slopes: Float32Array;
}

type Labels = readonly ArrayLike<number>[];

/**
 * logits: [rows, outputs], or [tokens, 2] for QUESTION_ANSWERING; lengths: tokens of each row;
 * labelSmoothing: for CLASSIFICATION only.
 */
export function computeLoss(
  taskKind: TaskKind,
  logits: Float32Array,
  labels: Labels,
  lengths: readonly number[],
  labelSmoothing: number,
): Loss {
  if (taskKind === TaskKind.TASK_KIND_QUESTION_ANSWERING) return spanLoss(logits, labels, lengths);
  const rows = lengths.length;
  return taskKind === TaskKind.TASK_KIND_REGRESSION
    ? squaredError(logits, labels[0]!)
    : classLoss(logits, labels[0]!, logits.length / rows, labelSmoothing);
}

/** Cross-entropy of classes, label-smoothed (Szegedy et al. 2016). */
function classLoss(
  logits: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
  smoothing: number,
): Loss {
  const rows = labels.length;
  const loss: Loss = { mean: 0, slopes: new Float32Array(logits.length) };
  for (let row = 0; row < rows; row++) {
    const add = (label: number, share: number): void =>
      addCrossEntropy(loss, logits, row * classes, classes, 1, label, share / rows);
    add(labels[row]!, 1 - smoothing);
    if (smoothing === 0) continue;
    for (let label = 0; label < classes; label++) add(label, smoothing / classes);
  }
  return loss;
}

/**
 * The mean of the cross-entropies of start and end, each of which is one class among the row's
 * tokens.
 */
function spanLoss(logits: Float32Array, labels: Labels, lengths: readonly number[]): Loss {
  const loss: Loss = { mean: 0, slopes: new Float32Array(logits.length) };
  let at = 0;
  lengths.forEach((length, row) => {
    labels.forEach((places, output) =>
      addCrossEntropy(loss, logits, at + output, length, 2, places[row]!, 1 / (2 * lengths.length)),
    );
    at += 2 * length;
  });
  return loss;
}

/**
 * Adds weight · −log softmax at `label` over n logits that start at `at` and are `stride` apart.
 */
function addCrossEntropy(
  loss: Loss,
  logits: Float32Array,
  at: number,
  n: number,
  stride: number,
  label: number,
  weight: number,
): void {
  let largest = -Infinity;
  for (let i = 0; i < n; i++) largest = Math.max(largest, logits[at + i * stride]!);
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.exp(logits[at + i * stride]! - largest);
  loss.mean += weight * (Math.log(sum) - (logits[at + label * stride]! - largest));
  for (let i = 0; i < n; i++) {
    const probability = Math.exp(logits[at + i * stride]! - largest) / sum;
    loss.slopes[at + i * stride]! += weight * (probability - (i === label ? 1 : 0));
  }
}

function squaredError(logits: Float32Array, labels: ArrayLike<number>): Loss {
  const rows = logits.length;
  const loss: Loss = { mean: 0, slopes: new Float32Array(rows) };
  for (let row = 0; row < rows; row++) {
    const error = logits[row]! - labels[row]!;
    loss.mean += (error * error) / rows;
    loss.slopes[row] = (2 * error) / rows;
  }
  return loss;
}
