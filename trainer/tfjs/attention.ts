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

/** Keys and values. */
export type KeyValue = readonly [key: Value, value: Value];

export interface AttentionInputs {
  /** [tokens, d], or [rows, d] with `firstOnly`. */
  query: Value;
  /** [tokens, d] each. */
  own: KeyValue;
  /** [length, d] each: precede the keys and values of every row. */
  prefix: KeyValue | undefined;
  /** [tokens, d] each: precede those of the row that they belong to; padding's do, too. */
  before: KeyValue | undefined;
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
 * Each token attends to the tokens of its own row: → [tokens, d]. With `firstOnly`, query and
 * result are only of each row's first token [rows, d]. The gradient reads none of the inputs.
 */
export function attend(
  tape: Tape,
  { query, own, prefix, before }: AttentionInputs,
  pack: PackedRows,
  heads: number,
  firstOnly: boolean,
  dropout: AttentionDropout | undefined,
): Value {
  const kept: Kept[] = [];
  const width = query.tensor.shape[1]!;
  /** A group's keys (0) or values (1) [rows, heads, keys, dim]. */
  const gatherKeys = (group: RowGroup, which: 0 | 1): Tensor =>
    joinKeys(
      prefix && prefixOfRows(prefix[which].tensor, group.rows, heads),
      before && gathered(before[which].tensor, group, heads),
      gathered(own[which].tensor, group, heads),
    );
  return tape.apply(
    [query, ...own, ...(prefix ?? []), ...(before ?? [])],
    () => {
      let row = 0;
      const contexts = pack.groups.map((group, index) => {
        const first = firstOnly ? tf.slice(query.tensor, [row, 0], [group.rows, width]) : undefined;
        row += group.rows;
        const q = first
          ? toHeads(first, group.rows, 1, heads)
          : gathered(query.tensor, group, heads);
        const [k, v] = [gatherKeys(group, 0), gatherKeys(group, 1)];
        const scores = tf.matMul(q, k, false, true);
        const mask = maskKeys(group, prefix?.[0].tensor.shape[0] ?? 0, before !== undefined);
        const weights = tf.softmax(mask ? tf.add(scores, mask) : scores);
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
      /** Of each group: the gradients of queries, and of all its keys and values. */
      const queries: Tensor[] = [];
      const all: [Tensor[], Tensor[]] = [[], []];
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
        queries.push(fromHeads(tf.matMul(toScores, k), width));
        all[0].push(tf.matMul(toScores, q, true, false));
        all[1].push(tf.matMul(factors ? tf.mul(weights, factors) : weights, g, true, false));
      });
      const unpad = (parts: Tensor[]): Tensor =>
        tf.gather(tf.concat(parts as Tensor2D[], 0), pack.unpadded);
      const length = prefix?.[0].tensor.shape[0] ?? 0;
      /** Places `begin` to `begin` + a row's length of the keys, in the tokens' order. */
      const ofTokens = (which: 0 | 1, begin: (group: RowGroup) => number): Tensor =>
        unpad(
          all[which].map((part, i) => {
            const group = pack.groups[i]!;
            return fromHeads(slicePlaces(part, begin(group), group.length), width);
          }),
        );
      const ofPrefix = (which: 0 | 1): Tensor =>
        tf.addN(
          all[which].map((part) => fromHeads(tf.sum(slicePlaces(part, 0, length), 0, true), width)),
        );
      const ofOwn = ({ length: places }: RowGroup): number => length + (before ? places : 0);
      const both = [0, 1] as const;
      return [
        () => (firstOnly ? tf.concat(queries as Tensor2D[], 0) : unpad(queries)),
        ...both.map((which) => () => ofTokens(which, ofOwn)),
        ...(prefix ? both.map((which) => () => ofPrefix(which)) : []),
        ...(before ? both.map((which) => () => ofTokens(which, () => length)) : []),
      ];
    },
  );
}

/** How a prefix that is read apart is weighed (PrefixUse in job.proto). */
export type Weighing = 'softmax' | 'relu';

/**
 * weigh(q · Kᵀ) · V → [n, d] for a query [n, d] and a prefix [length, d] each, head by head. The
 * gradient reads none of the inputs.
 */
export function attendApart(
  tape: Tape,
  query: Value,
  [key, value]: KeyValue,
  heads: number,
  weighing: Weighing,
): Value {
  const width = query.tensor.shape[1]!;
  /** [n, d] → [1, heads, n, dim]. */
  const split = (x: Tensor): Tensor => toHeads(x, 1, x.shape[0], heads);
  return tape.apply(
    [query, key, value],
    () => {
      const [q, k, v] = [split(query.tensor), split(key.tensor), split(value.tensor)];
      const scores = tf.matMul(q, k, false, true);
      const weights = weighing === 'relu' ? tf.relu(scores) : tf.softmax(scores);
      return [fromHeads(tf.matMul(weights, v), width), q, k, v, weights];
    },
    (gradient, q, k, v, weights) => {
      const g = split(gradient);
      const toWeights = tf.matMul(g, v, false, true);
      const toScores =
        weighing === 'relu'
          ? tf.mul(toWeights, tf.step(weights))
          : tf.mul(weights, tf.sub(toWeights, tf.sum(tf.mul(toWeights, weights), -1, true)));
      return [
        () => fromHeads(tf.matMul(toScores, k), width),
        () => fromHeads(tf.matMul(toScores, q, true, false), width),
        () => fromHeads(tf.matMul(weights, g, true, false), width),
      ];
    },
  );
}

/** Which keys a group's queries do not see, [rows, 1, 1, keys]; undefined if they see all. */
function maskKeys(group: RowGroup, prefix: number, hasBefore: boolean): Tensor | undefined {
  const { absent, hidden, rows, length } = group;
  if (!absent && !hidden) return undefined;
  const none = (places: number): Tensor => tf.zeros([rows, 1, 1, places]);
  const parts = [hidden ?? none(length)];
  if (hasBefore) parts.unshift(absent ?? none(length));
  if (prefix > 0) parts.unshift(none(prefix));
  return tf.concat(parts, 3);
}

const joinKeys = (...parts: (Tensor | undefined)[]): Tensor => {
  const given = parts.filter((part) => part !== undefined);
  return given.length === 1 ? given[0]! : tf.concat(given, 2);
};

/** [rows, heads, keys, dim] → [rows, heads, places, dim], from the key `begin` on. */
const slicePlaces = (x: Tensor, begin: number, places: number): Tensor =>
  x.shape[2] === places
    ? x
    : tf.slice(x, [0, 0, begin, 0], [x.shape[0], x.shape[1]!, places, x.shape[3]!]);

/** A prefix [length, d] for each row, as [rows, heads, length, dim]. */
const prefixOfRows = (x: Tensor, rows: number, heads: number): Tensor =>
  tf.tile(toHeads(x, 1, x.shape[0], heads), [rows, 1, 1, 1]);

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
