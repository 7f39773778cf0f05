/**
 * Packs the rows of a step one after the other, shortest first, without padding, so that frozen
 * layers compute only real tokens. Only attention pads, among neighbours of nearly equal length;
 * unless rows are to be padded (Adapter.padded_tokens of job.proto), when padding is tokens, too.
 */
import { badArtifact } from '../host/artifacts';
import type { Split } from '../host/splits';
import { tf, type Tensor } from './tensorflow';

/**
 * A row is padded to at most this many times its length: a smaller limit makes many small products,
 * a larger one wastes work.
 */
const MOST_PADDING = 1.25;

/** Neighbouring rows whose attention is computed together, each padded to the longest. */
export interface RowGroup {
  rows: number;
  length: number;
  /** int32 [rows · length]: the token at each place, or the row's first if there is none. */
  places: Tensor;
  /** float32 [rows · length, 1]: 1 for a token, else 0; undefined if every row is full. */
  present: Tensor | undefined;
  /**
   * float32 [rows, 1, 1, length] each: added to scores, so that no query attends to a place without
   * a token (absent), or with none but padding (hidden). undefined if there is no such place.
   */
  absent: Tensor | undefined;
  hidden: Tensor | undefined;
}

/** Rows of `tokens` tokens; token: what pads; countsPlaces: whether padding has positions. */
export interface Padding {
  tokens: number;
  token: number;
  countsPlaces: boolean;
}

/** exp of a score plus this is 0 in float32. */
const NEVER = -1e9;

export interface PackedRows {
  tokens: number;
  rows: number;
  /** int32 [tokens] each. */
  inputIds: Tensor;
  tokenTypeIds: Tensor;
  positions: Tensor;
  /** int32 [rows]: index of each row's first token. */
  first: Tensor;
  groups: RowGroup[];
  /** int32 [tokens]: index of each token among the groups' places, one group after the other. */
  unpadded: Tensor;
  /**
   * For each packed row, its index among the requested rows, its number of tokens, and how many of
   * them are its own, without padding.
   */
  order: number[];
  lengths: number[];
  own: number[];
}

/**
 * Packs these rows of a split. The caller frees the tensors. Throws EngineFailure (BAD_ARTIFACT)
 * if a row is longer than it is to be padded to.
 */
export function packRows(
  { inputIds, tokenTypeIds, offsets }: Split,
  asked: ArrayLike<number>,
  padding?: Padding,
): PackedRows {
  const countTokens = (row: number): number => offsets[row + 1]! - offsets[row]!;
  const order = Array.from(asked, (_, i) => i).sort(
    (a, b) => countTokens(asked[a]!) - countTokens(asked[b]!),
  );
  const own = order.map((i) => countTokens(asked[i]!));
  if (padding && own.at(-1)! > padding.tokens) {
    throw badArtifact(
      `a row has ${own.at(-1)} tokens; adapter.padded_tokens is ${padding.tokens}, and no row ` +
        'may be longer',
    );
  }
  const lengths = padding ? own.map(() => padding.tokens) : own;
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const ids = new Int32Array(tokens);
  const types = new Int32Array(tokens);
  const positions = new Int32Array(tokens);
  const first = new Int32Array(order.length);
  let at = 0;
  order.forEach((i, row) => {
    const begin = offsets[asked[i]!]!;
    first[row] = at;
    for (let place = 0; place < lengths[row]!; place++, at++) {
      const isOwn = place < own[row]!;
      ids[at] = isOwn ? inputIds[begin + place]! : padding!.token;
      types[at] = isOwn ? tokenTypeIds[begin + place]! : 0;
      // Without a position of its own, padding has the place before the first one.
      positions[at] = isOwn || padding!.countsPlaces ? place : -1;
    }
  });
  const { groups, unpadded } = group(lengths, own, first, tokens);
  const int32 = (values: Int32Array): Tensor => tf.tensor1d(values, 'int32');
  return {
    tokens,
    rows: order.length,
    inputIds: int32(ids),
    tokenTypeIds: int32(types),
    positions: int32(positions),
    first: int32(first),
    groups,
    unpadded: int32(unpadded),
    order,
    lengths,
    own,
  };
}

function group(
  lengths: number[],
  own: number[],
  first: Int32Array,
  tokens: number,
): { groups: RowGroup[]; unpadded: Int32Array } {
  const groups: RowGroup[] = [];
  const unpadded = new Int32Array(tokens);
  let before = 0;
  for (let begin = 0; begin < lengths.length;) {
    let end = begin;
    while (end < lengths.length && lengths[end]! <= lengths[begin]! * MOST_PADDING) end++;
    const made = buildGroup(lengths, own, first, begin, end);
    for (let row = begin; row < end; row++) {
      for (let place = 0; place < lengths[row]!; place++)
        unpadded[first[row]! + place] = before + (row - begin) * made.length + place;
    }
    before += made.rows * made.length;
    groups.push(made);
    begin = end;
  }
  return { groups, unpadded };
}

function buildGroup(
  lengths: number[],
  own: number[],
  first: Int32Array,
  begin: number,
  end: number,
): RowGroup {
  const rows = end - begin;
  const length = lengths[end - 1]!;
  const places = new Int32Array(rows * length);
  const present = new Float32Array(rows * length);
  for (let row = 0; row < rows; row++) {
    for (let place = 0; place < length; place++) {
      const there = place < lengths[begin + row]!;
      places[row * length + place] = first[begin + row]! + (there ? place : 0);
      present[row * length + place] = there ? 1 : 0;
    }
  }
  /** A mask of the places after a row's first so many; undefined if there is none. */
  const after = (counts: number[]): Tensor | undefined => {
    if (counts.slice(begin, end).every((count) => count === length)) return undefined;
    const mask = Float32Array.from({ length: rows * length }, (_, i) =>
      i % length < counts[begin + Math.floor(i / length)]! ? 0 : NEVER,
    );
    return tf.tensor4d(mask, [rows, 1, 1, length]);
  };
  const absent = after(lengths);
  return {
    rows,
    length,
    places: tf.tensor1d(places, 'int32'),
    present: absent && tf.tensor2d(present, [rows * length, 1]),
    absent,
    hidden: own === lengths ? absent : after(own),
  };
}
