/**
 * Makes masks from scores by the exact rules of Prune in job.proto: each scope keeps an exact
 * number of weights, those with the highest scores, with ties broken by a seeded permutation.
 * Scores that mean nothing are an error.
 */
import { elements } from '../../common/safetensors';
import { PRUNERS } from '../../common/vocabulary/pruners';
import { findWord, getRow } from '../../common/vocabulary/vocabulary';
import { FailureReason } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { MaskControl, PruneScope, type Prune } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { EngineFailure } from '../host/engine';
import { permutation } from '../host/random';
import { densities, erCounts, keptCount } from './densities';
import { type Shapes } from './layout';

/** By matrix: one number per weight. */
export type Scores = Record<string, Float32Array | Float64Array>;
/** By matrix: 0 or 1 per weight. */
export type Masks = Record<string, Uint8Array>;

const { FAILURE_REASON_DEGENERATE_MASK: DEGENERATE_MASK, FAILURE_REASON_NON_FINITE: NON_FINITE } =
  FailureReason;

/** What is ranked together. */
interface Scope {
  name: string;
  names: string[];
  /** How many weights remain after each round. */
  counts: number[];
  /** Places of the weights kept so far, in the order that breaks ties. */
  places: Int32Array;
  /** For inverted masks: their scores in the last round, and what each round removed. */
  scores: Float64Array;
  removed: { places: Int32Array; scores: Float64Array }[];
}

export class Ranking {
  /** These rules accept no doubtful scores. */
  readonly doubts: readonly string[] = [];
  private readonly scopes: Scope[];
  private readonly rounds: number;
  private done = 0;

  /** Throws EngineFailure (DEGENERATE_MASK) if nothing would be kept. */
  constructor(
    private readonly prune: Prune,
    private readonly seed: number,
    private readonly shapes: Shapes,
  ) {
    this.scopes = listScopes(prune, seed, shapes);
    this.rounds = densities(prune).length;
  }

  get isDone(): boolean {
    return this.done === this.rounds;
  }

  get roundsDone(): number {
    return this.done;
  }

  /** Whether the next round removes nothing, so that it needs no scores. */
  get keepsAll(): boolean {
    return this.scopes.every(({ counts, places }) => counts[this.done] === places.length);
  }

  /** Counts a round that keeps everything. */
  skip(): void {
    this.done++;
  }

  /**
   * Makes a fresh ranking resume after `rounds` rounds that left these masks. Not for inverted
   * masks, which need the scores of all rounds.
   */
  goOn(masks: Masks, rounds: number): void {
    for (const scope of this.scopes) {
      const flat = scope.names.flatMap((name) => [...masks[name]!]);
      // Still in the order that breaks ties.
      scope.places = scope.places.filter((place) => flat[place] === 1);
    }
    this.done = rounds;
  }

  /** What the rounds have kept so far. */
  get masks(): Masks {
    return this.buildMasks((scope) => scope.places);
  }

  /**
   * One round: keeps the highest scores among the weights kept so far, and ignores other weights'
   * scores.
   */
  keep(scores: Scores): void {
    for (const scope of this.scopes) {
      const flat = joined(scope.names.map((name) => scores[name]!));
      const found = Float64Array.from(scope.places, (place) => flat[place]!);
      const count = scope.counts[this.done]!;
      // A later round that removes nothing needs no ranking.
      this.requireRanking(scope.name, found, this.done > 0 && found.length === count);
      const stay = highest(found, count);
      if (this.prune.control === MaskControl.MASK_CONTROL_INVERTED) {
        scope.removed.push({
          places: scope.places.filter((_, i) => stay[i] === 0),
          scores: found.filter((_, i) => stay[i] === 0),
        });
        scope.scores = found.filter((_, i) => stay[i] === 1);
      }
      scope.places = scope.places.filter((_, i) => stay[i] === 1);
    }
    this.done++;
  }

  /** The masks with the control applied. */
  finished(): Masks {
    const { control } = this.prune;
    if (control === MaskControl.MASK_CONTROL_INVERTED) return this.buildMasks(lowest);
    if (control !== MaskControl.MASK_CONTROL_SHUFFLED) return this.masks;
    const shuffled = Object.entries(this.masks).map(([name, mask]) => {
      const order = permutation(mask.length, this.seed, 'shuffled mask', name);
      return [name, Uint8Array.from(order, (place) => mask[place]!)];
    });
    return Object.fromEntries(shuffled) as Masks;
  }

  private buildMasks(kept: (scope: Scope) => Int32Array): Masks {
    const masks: Masks = {};
    for (const scope of this.scopes) {
      const sizes = scope.names.map((name) => elements(this.shapes[name]!));
      const flat = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
      for (const place of kept(scope)) flat[place] = 1;
      let at = 0;
      scope.names.forEach((name, i) => (masks[name] = flat.slice(at, (at += sizes[i]!))));
    }
    return Object.fromEntries(Object.keys(this.shapes).map((name) => [name, masks[name]!]));
  }

  private requireRanking(scope: string, scores: Float64Array, idle: boolean): void {
    const pruner = findWord(PRUNERS, this.prune.pruner)!;
    const { isRandom, zeroUp } = PRUNERS[pruner];
    const n = scores.length;
    const wrong = scores.reduce((count, score) => count + (Number.isFinite(score) ? 0 : 1), 0);
    if (wrong > 0)
      throw new EngineFailure(
        NON_FINITE,
        `${pruner}: ${wrong} of ${n} scores of ${scope} are NaN or infinite`,
      );
    if (isRandom || idle || scores.some((score) => score !== scores[0])) return;
    let hint = '';
    if (scores[0] === 0) {
      hint = '; a zero up-projection (init: zero_up) gives such scores: take init: gaussian';
      const isLocal = this.prune.scope === PruneScope.PRUNE_SCOPE_LOCAL;
      if (isLocal && zeroUp !== null && 'refusedApart' in zeroUp) hint += ', or scope: global';
    }
    throw new EngineFailure(
      DEGENERATE_MASK,
      `${pruner}: all ${n} scores of ${scope} are ${scores[0]}, so they rank nothing${hint}`,
    );
  }
}

function listScopes(prune: Prune, seed: number, shapes: Shapes): Scope[] {
  const names = Object.keys(shapes);
  const sizeOfAll = (some: string[]): number =>
    some.reduce((sum, name) => sum + elements(shapes[name]!), 0);
  const scope = (name: string, some: string[], counts: number[]): Scope => {
    const places = permutation(sizeOfAll(some), seed, 'ties', name);
    return { name, names: some, counts, places, scores: new Float64Array(), removed: [] };
  };
  if (getRow(PRUNERS, prune.pruner).setsDensities) {
    const n = sizeOfAll(names);
    requireSomeKept(prune, 'all matrices', n);
    const counts = erCounts(shapes, keptCount(n, 1 - prune.sparsity));
    return names.map((name) => scope(name, [name], [counts[name]!]));
  }
  const isLocal = prune.scope === PruneScope.PRUNE_SCOPE_LOCAL;
  const ranked: [string, string[]][] = isLocal
    ? names.map((name) => [name, [name]])
    : [['all matrices', names]];
  return ranked.map(([name, some]) => {
    const n = sizeOfAll(some);
    requireSomeKept(prune, name, n);
    return scope(
      name,
      some,
      densities(prune).map((density) => keptCount(n, density)),
    );
  });
}

function requireSomeKept(prune: Prune, scope: string, n: number): void {
  if (keptCount(n, 1 - prune.sparsity) > 0) return;
  const message =
    `sparsity ${prune.sparsity} keeps none of the ${n} weights of ${scope}; ` +
    'take a lower one or a wider bottleneck';
  throw new EngineFailure(DEGENERATE_MASK, message);
}

/**
 * As many places as are kept, from the other end of the ranking. What an earlier round removed
 * ranks below what it kept.
 */
function lowest({ places, scores, removed }: Scope): Int32Array {
  const ascending = [...removed, { places, scores }].flatMap((part) => {
    // Among equal scores, the last in the order that breaks ties.
    const order = Array.from(part.scores, (_, i) => part.scores.length - 1 - i).sort(
      (a, b) => part.scores[a]! - part.scores[b]!,
    );
    return order.map((i) => part.places[i]!);
  });
  return Int32Array.from(ascending.slice(0, places.length));
}

/** 1 at the `kept` highest of the scores, all finite; among equal ones, at the first. */
export function highest(scores: Float64Array, kept: number): Uint8Array {
  const chosen = new Uint8Array(scores.length);
  if (kept === 0) return chosen;
  const threshold = nthSmallest(scores.slice(), scores.length - kept);
  let left = kept;
  scores.forEach((score, i) => {
    if (score > threshold) {
      chosen[i] = 1;
      left--;
    }
  });
  for (let i = 0; left > 0; i++) {
    if (scores[i] !== threshold) continue;
    chosen[i] = 1;
    left--;
  }
  return chosen;
}

/**
 * The value at place n of the sorted values. Permutes them: Hoare's selection takes a tenth of the
 * time of sorting.
 */
function nthSmallest(values: Float64Array, n: number): number {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = values[(low + high) >> 1]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      [values[i], values[j]] = [values[j]!, values[i]!];
      i++;
      j--;
    }
    if (n <= j) high = j;
    else if (n >= i) low = i;
    else break;
  }
  return values[n]!;
}

/** Parts one after the other, in float64. */
export function joined(parts: (Float32Array | Float64Array)[]): Float64Array {
  const flat = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    flat.set(part, at);
    at += part.length;
  }
  return flat;
}
