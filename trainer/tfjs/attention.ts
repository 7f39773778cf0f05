/** Self-attention among packed rows (Vaswani et al. 2017). Queries come scaled by 1 / √dim. */
import { dropoutFactors } from './operations';
import type { PackedRows, RowGroup } from './packed-rows';
import { Value, type Tape } from './tape';
import { tf, type Tensor, type Tensor2D } from './tensorflow';

/** Dropout of attention probabilities; key: the draw's key for a group of rows. */
export interface AttentionDropout {
  probability: number;
  key(group: number): readonly [number, number];
}

/** What a group's gradient needs. */
interface Kept {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  weights: Tensor;
  factors?: Tensor;
}

/**
 * Each token attends to the tokens of its own row: query, key, value [tokens, d] → [tokens, d].
 * With `firstOnly`, query and result are only of each row's first token [rows, d]. The gradient
 * reads none of the three inputs.
 */
export function attend(
  tape: Tape,
  [query, key, value]: [Value, Value, Value],
  pack: PackedRows,
  heads: number,
  firstOnly: boolean,
  dropout: AttentionDropout | undefined,
): Value {
  const kept: Kept[] = [];
  const width = query.tensor.shape[1]!;
  return tape.apply(
    [query, key, value],
    () => {
      let row = 0;
      const contexts = pack.groups.map((group, index) => {
        const own = firstOnly ? tf.slice(query.tensor, [row, 0], [group.rows, width]) : undefined;
        row += group.rows;
        const q = own ? toHeads(own, group.rows, 1, heads) : gathered(query.tensor, group, heads);
        const [k, v] = [gathered(key.tensor, group, heads), gathered(value.tensor, group, heads)];
        const scores = tf.matMul(q, k, false, true);
        const weights = tf.softmax(group.mask ? tf.add(scores, group.mask) : scores);
        const factors =
          dropout && dropoutFactors(weights.shape, dropout.probability, dropout.key(index));
        kept.push(factors ? { q, k, v, weights, factors } : { q, k, v, weights });
        return fromHeads(tf.matMul(factors ? tf.mul(weights, factors) : weights, v), width);
      });
      const all = tf.concat(contexts as Tensor2D[], 0);
      return [
        firstOnly ? all : tf.gather(all, pack.unpadded),
        ...kept.flatMap((each) => Object.values(each) as Tensor[]),
      ];
    },
    (gradient) => {
      const parts: [Tensor[], Tensor[], Tensor[]] = [[], [], []];
      let row = 0;
      pack.groups.forEach((group, index) => {
        const { q, k, v, weights, factors } = kept[index]!;
        const g = firstOnly
          ? toHeads(tf.slice(gradient, [row, 0], [group.rows, width]), group.rows, 1, heads)
          : gathered(gradient, group, heads, group.present);
        row += group.rows;
        const toWeights = factors
          ? tf.mul(tf.matMul(g, v, false, true), factors)
          : tf.matMul(g, v, false, true);
        const toScores = tf.mul(
          weights,
          tf.sub(toWeights, tf.sum(tf.mul(toWeights, weights), -1, true)),
        );
        parts[0].push(fromHeads(tf.matMul(toScores, k), width));
        parts[1].push(fromHeads(tf.matMul(toScores, q, true, false), width));
        parts[2].push(
          fromHeads(tf.matMul(factors ? tf.mul(weights, factors) : weights, g, true, false), width),
        );
      });
      const joined = (which: 0 | 1 | 2): Tensor => tf.concat(parts[which] as Tensor2D[], 0);
      const unpad = (x: Tensor): Tensor => tf.gather(x, pack.unpadded);
      return [
        () => (firstOnly ? joined(0) : unpad(joined(0))),
        () => unpad(joined(1)),
        () => unpad(joined(2)),
      ];
    },
  );
}

/**
 * A group's rows of x [tokens, d], as [rows, heads, length, dim]. If `present` is given, places
 * without a token are 0.
 */
function gathered(x: Tensor, group: RowGroup, heads: number, present?: Tensor): Tensor {
  const padded = tf.gather(x, group.places);
  return toHeads(present ? tf.mul(padded, present) : padded, group.rows, group.length, heads);
}

function toHeads(x: Tensor, rows: number, length: number, heads: number): Tensor {
  return tf.transpose(tf.reshape(x, [rows, length, heads, x.shape[1]! / heads]), [0, 2, 1, 3]);
}

/** [rows, heads, length, dim] → [rows · length, d]. */
function fromHeads(x: Tensor, width: number): Tensor {
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, width]);
}
