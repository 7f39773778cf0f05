/**
 * How much the masks of a sweep have in common: those of one row with different seeds, and those of
 * different pruners with the same task, adapter, sparsity and seed. Kept in the sweep's
 * overlaps.jsonl, so that each pair is measured once.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { writeDurably } from '../../common/durable-files';
import { ConfigError } from '../base/errors';
import { groupBy } from '../base/group-by';
import { readSafetensors, type Tensor } from '../datasets/safetensors';
import { readIfThere } from '../store/read-files';
import { findMasks, sweepDir } from '../store/sweep-store';
import { canonicalJson } from '../sweep/canonical';
import { heldOutDigests } from '../sweep/lookup';
import type { Plan, Trial } from '../sweep/types';

/** Of more seeds, the first are paired: their pairs say as much, and are not a square of many. */
const SEEDS = 10;

export const OVERLAPS_FILE = 'overlaps.jsonl';

/** 2: by_chance goes by each matrix. */
const FORMAT: Overlap['format'] = 2;

/** Two masks. */
export interface Overlap {
  format: 2;
  /** What differs between the two trials. */
  between: 'seeds' | 'pruners';
  first: string;
  second: string;
  /** Weights that both keep, divided by those that at least one keeps; null if none does. */
  jaccard: number | null;
  /** What it would be if each kept as many weights of each matrix at random; null as above. */
  by_chance: number | null;
}

/**
 * Measures the pairs of finished trials that are not known yet. Returns all, and the first trial of
 * each pair that is still to be measured.
 *
 * @param done ids of finished trials
 * @param until a time in milliseconds since the epoch, after which the rest waits for next time
 */
export async function measureOverlaps(
  root: string,
  plan: Plan,
  done: ReadonlySet<string>,
  until = Infinity,
): Promise<{ overlaps: Overlap[]; left: string[] }> {
  const path = join(sweepDir(root, plan.sweep_id), OVERLAPS_FILE);
  const text = (await readIfThere(path)) ?? '';
  const known = new Map(readLines(text).map((each) => [nameOf(each), each]));
  const found: Overlap[] = [];
  const left: string[] = [];
  let hasNew = false;
  for (const pairs of listGroups(plan, done)) {
    const masks = new Map<string, PackedMask | null>();
    for (const pair of pairs) {
      const before = known.get(nameOf(pair));
      if (before === undefined && Date.now() > until) {
        left.push(pair.first);
        continue;
      }
      const overlap = before ?? measurePair(root, pair, masks);
      if (overlap !== null) found.push(overlap);
      if (before !== undefined) continue;
      hasNew ||= overlap !== null;
      await nextTurn();
    }
  }
  if (hasNew) await writeDurably(path, found.map((each) => `${JSON.stringify(each)}\n`).join(''));
  return { overlaps: found, left };
}

/** Lines that cannot be read, or are of an earlier version, are measured again. */
const readLines = (text: string): Overlap[] =>
  text.split('\n').flatMap((line) => {
    try {
      const overlap = JSON.parse(line) as Overlap;
      return (overlap.format as number) === FORMAT ? [overlap] : [];
    } catch (error) {
      if (error instanceof SyntaxError) return [];
      throw error;
    }
  });

type Pair = Pick<Overlap, 'between' | 'first' | 'second'>;

const nameOf = ({ first, second }: Pair) => `${first} ${second}`;

/** The pairs to measure, by whose masks are in memory together: of a row, or of a seed. */
function listGroups(plan: Plan, done: ReadonlySet<string>): Pair[][] {
  // Those of a search are no rows of the report.
  const heldOut = heldOutDigests(plan);
  const pruned = plan.trials.filter(
    ({ id, dataset, prune }) => prune.pruner !== 'none' && done.has(id) && !heldOut.has(dataset),
  );
  const alike = groupBy(pruned, ({ dataset, adapter, prune: { sparsity } }) =>
    canonicalJson({ dataset, adapter, sparsity }),
  );
  return [...alike.values()].flatMap((each) => {
    const rows = [...groupBy(each, ({ prune, train }) => canonicalJson({ prune, train })).values()];
    return [...rows.map((row) => pairAll(row.slice(0, SEEDS), 'seeds')), ...pairPruners(rows)];
  });
}

const pairAll = (trials: readonly Trial[], between: Pair['between']): Pair[] =>
  trials.flatMap(({ id: first }, i) =>
    trials.slice(i + 1).map(({ id: second }) => ({ between, first, second })),
  );

/**
 * By seed. Rows that are pruned in the same way and differ in how they are trained are one pruner,
 * for which the first stands.
 */
function pairPruners(rows: readonly Trial[][]): Pair[][] {
  const pruners = [...groupBy(rows, ([first]) => canonicalJson(first!.prune)).values()];
  const bySeed = groupBy(
    pruners.flatMap(([first]) => first!.slice(0, SEEDS)),
    ({ seed }) => seed,
  );
  return [...bySeed.values()].map((trials) => pairAll(trials, 'pruners'));
}

interface PackedMask {
  /** Names and shapes, in the order of the bits. */
  layout: string;
  words: Uint32Array;
  kept: number;
  /** By matrix. */
  parts: { kept: number; of: number }[];
}

/** null if a mask is not there, or if the two are not of the same weights. */
function measurePair(
  root: string,
  pair: Pair,
  masks: Map<string, PackedMask | null>,
): Overlap | null {
  const [a, b] = [pair.first, pair.second].map((id) => {
    if (!masks.has(id)) masks.set(id, packMask(findMasks(root, id)));
    return masks.get(id)!;
  });
  if (!a || !b || a.layout !== b.layout) return null;
  let both = 0;
  for (let i = 0; i < a.words.length; i++) both += countBits(a.words[i]! & b.words[i]!);
  const either = a.kept + b.kept - both;
  const random = a.parts.reduce((sum, { kept, of }, i) => sum + (kept * b.parts[i]!.kept) / of, 0);
  const round = (value: number) => Number(value.toPrecision(6));
  return {
    format: FORMAT,
    ...pair,
    jaccard: either === 0 ? null : round(both / either),
    by_chance: either === 0 ? null : round(random / (a.kept + b.kept - random)),
  };
}

/** null if the file is missing or broken: the results stand without it. */
function packMask(path: string): PackedMask | null {
  let tensors: [string, Tensor][];
  try {
    tensors = [...readSafetensors(path)].sort(([a], [b]) => (a < b ? -1 : 1));
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
  const of = tensors.reduce((sum, [, { data }]) => sum + data.length, 0);
  const words = new Uint32Array(Math.ceil(of / 32));
  let at = 0;
  const parts = tensors.map(([, { data }]) => {
    let kept = 0;
    for (let i = 0; i < data.length; i++, at++)
      if (data[i]) {
        words[at >>> 5]! |= 1 << (at & 31);
        kept++;
      }
    return { kept, of: data.length };
  });
  const kept = parts.reduce((sum, part) => sum + part.kept, 0);
  const layout = JSON.stringify(tensors.map(([name, { shape }]) => [name, shape]));
  return { layout, words, kept, parts };
}

/** The ones of a word, summed in parallel (Warren 2012, 5-1). */
function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return (((bits + (bits >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
