/**
 * The pairs of matrices of a trial, and which of their units are gone: unit j is row j of down and
 * column j of up.
 */
import type { Tensor } from '../../common/safetensors';
import { namePlace, parsePlace, type Place } from './places';
import type { Weights } from './trained-trial';

type Matrix = Tensor<Float32Array>;

/** down [r, inputs], up [outputs, r], and the biases and norm of a bottleneck module. */
export interface Pair {
  place: Place;
  down: Matrix;
  up: Matrix;
  /** By their names at the place: `down.bias`, `up.bias`, `norm.weight`, `norm.bias`. */
  others: Map<string, Matrix>;
  /** r before units were removed. */
  trained: number;
}

/** The pairs that become part of an export: what TakenWeights counts as taken. */
export function takePairs(weights: Weights, isWanted: (pair: Pair) => boolean): Pair[] {
  const pairs = listPairs(weights).filter(isWanted);
  for (const pair of pairs)
    for (const [name] of tensorsOf(pair)) weights.get(`${namePlace(pair.place)}.${name}`);
  return pairs;
}

/** All pairs of a trial, in the order of their places. */
export function listPairs(all: Weights): Pair[] {
  // A copy, from which reading takes nothing.
  const weights = new Map(all);
  const pairs: Pair[] = [];
  for (const [name, down] of weights) {
    const found = parsePlace(name);
    if (found?.part !== 'down.weight') continue;
    const at = namePlace(found.place);
    const up = weights.get(`${at}.up.weight`);
    if (up === undefined) throw new Error(`${at} has no up.weight`);
    const others = new Map<string, Matrix>();
    for (const part of ['down.bias', 'up.bias', 'norm.weight', 'norm.bias']) {
      const tensor = weights.get(`${at}.${part}`);
      if (tensor) others.set(part, tensor);
    }
    pairs.push({ place: found.place, down, up, others, trained: down.shape[0]! });
  }
  const key = ({ stack, layer, isCross, site }: Place) =>
    `${stack === 'decoder' ? 1 : 0}${String(layer).padStart(6, '0')}${isCross ? 1 : 0}${site}`;
  return pairs.sort((a, b) => (key(a.place) < key(b.place) ? -1 : 1));
}

/** Whether it is LoRA's, without biases and activation. */
export const isLowRank = ({ others }: Pair): boolean => !others.has('down.bias');

/** The pair without the units that add nothing to its output. */
export function removeGoneUnits(pair: Pair): Pair {
  const kept = listUnits(pair);
  return kept.length === pair.down.shape[0]! ? pair : chooseUnits(pair, kept);
}

/**
 * Units that add something. One whose column of up is zero adds nothing; one whose row of down is
 * zero adds nothing in LoRA, and elsewhere what its bias makes of it.
 */
function listUnits(pair: Pair): number[] {
  const { down, up } = pair;
  const [r, inputs] = down.shape as [number, number];
  const outputs = up.shape[0]!;
  const hasRow = (j: number) =>
    down.data.subarray(j * inputs, (j + 1) * inputs).some((value) => value !== 0);
  const hasColumn = (j: number) => {
    for (let i = 0; i < outputs; i++) if (up.data[i * r + j] !== 0) return true;
    return false;
  };
  const all = Array.from({ length: r }, (_, j) => j);
  return all.filter((j) => hasColumn(j) && (!isLowRank(pair) || hasRow(j)));
}

function chooseUnits(pair: Pair, kept: readonly number[]): Pair {
  const { down, up, others } = pair;
  const [r, inputs] = down.shape as [number, number];
  const outputs = up.shape[0]!;
  const rows = new Float32Array(kept.length * inputs);
  const columns = new Float32Array(outputs * kept.length);
  kept.forEach((j, k) => {
    rows.set(down.data.subarray(j * inputs, (j + 1) * inputs), k * inputs);
    for (let i = 0; i < outputs; i++) columns[i * kept.length + k] = up.data[i * r + j]!;
  });
  const bias = others.get('down.bias');
  const chosen = new Map(others);
  if (bias)
    chosen.set('down.bias', {
      shape: [kept.length],
      data: Float32Array.from(kept, (j) => bias.data[j]!),
    });
  return {
    ...pair,
    down: { shape: [kept.length, inputs], data: rows },
    up: { shape: [outputs, kept.length], data: columns },
    others: chosen,
  };
}

/** The pair with zero units at its end, so that it has `r`. */
export function padUnits(pair: Pair, r: number): Pair {
  const { down, up, others } = pair;
  const [own, inputs] = down.shape as [number, number];
  if (own === r) return pair;
  const outputs = up.shape[0]!;
  const rows = new Float32Array(r * inputs);
  rows.set(down.data);
  const columns = new Float32Array(outputs * r);
  for (let i = 0; i < outputs; i++) columns.set(up.data.subarray(i * own, (i + 1) * own), i * r);
  const bias = others.get('down.bias');
  const padded = new Map(others);
  if (bias) {
    const data = new Float32Array(r);
    data.set(bias.data);
    padded.set('down.bias', { shape: [r], data });
  }
  return {
    ...pair,
    down: { shape: [r, inputs], data: rows },
    up: { shape: [outputs, r], data: columns },
    others: padded,
  };
}

/** A pair's tensors by their names at its place. */
export function tensorsOf({ down, up, others }: Pair): [string, Matrix][] {
  return [['down.weight', down], ['up.weight', up], ...others];
}

/** Bytes of a pair's tensors. */
export const countBytes = (pair: Pair): number =>
  tensorsOf(pair).reduce((sum, [, { data }]) => sum + data.byteLength, 0);

export const unitsOf = ({ down }: Pair): number => down.shape[0]!;
