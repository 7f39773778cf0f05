/**
 * Masks as the code published with SparseAdapter makes them: what MASK_RULES_OFFICIAL in job.proto
 * says, surprises included.
 */
import { PRUNERS } from '../../common/vocabulary/pruners';
import { findWord } from '../../common/vocabulary/vocabulary';
import { FailureReason } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { MaskControl, PruneScope, type Prune } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { EngineFailure } from '../host/engine';
import { elements } from '../../common/safetensors';
import type { Shapes } from './layout';
import { findScorer } from './pruners';
import { mapped, type Published } from './pruners/scorer';
import { joined, type Masks, type Scores } from './ranking';

/** Masks through the rounds. No result is an error: `doubts` says what a reader should know. */
export class OfficialRules {
  readonly masks: Masks;
  readonly doubts: string[] = [];
  private readonly published: Published;
  /** By down.weight: up.weight of a module whose masks both belong to down. */
  private readonly mispaired: ReadonlyMap<string, string>;
  /** The names of the matrices whose scores are compared, by scope. */
  private readonly scopes: readonly (readonly [string, string[]])[];
  private done = 0;

  /** densities: after each round. Throws EngineFailure if the published code ends there. */
  constructor(
    private readonly prune: Prune,
    shapes: Shapes,
    private readonly densities: readonly number[],
  ) {
    this.published = findScorer(prune.pruner).published!;
    refuseLoraOfFullRank(this.published, shapes);
    this.mispaired = listMispaired(shapes);
    const ups = new Set(this.mispaired.values());
    const owners = Object.keys(shapes).filter((name) => !ups.has(name));
    const isLocal = prune.scope === PruneScope.PRUNE_SCOPE_LOCAL;
    this.scopes = isLocal ? owners.map((name) => [name, [name]]) : [['all matrices', owners]];
    this.masks = mapped(shapes, (shape) => new Uint8Array(elements(shape)).fill(1));
  }

  get isDone(): boolean {
    return this.done === this.densities.length;
  }

  /** scores: of all weights at the masks of the round before, as the pruner gives them. */
  keep(scores: Scores): void {
    const compared = this.compared(scores);
    const density = this.densities[this.done]!;
    const isLocal = this.prune.scope === PruneScope.PRUNE_SCOPE_LOCAL;
    for (const [scope, names] of this.scopes) {
      const flat = joined(names.map((name) => compared[name]!));
      this.doubt(scope, flat);
      const cut = (1 - density) * flat.length;
      const k = isLocal ? Math.floor(cut) : Math.ceil(cut);
      if (k === 0) continue;
      // NaN sorts last, and every comparison with it is false: it is not cut, and as the threshold
      // it cuts nothing.
      const threshold = flat.sort()[k - 1]!;
      for (const name of names)
        this.masks[name] = Uint8Array.from(compared[name]!, (each) => (each <= threshold ? 0 : 1));
    }
    for (const [down, up] of this.mispaired) this.masks[up] = this.masks[down]!.slice();
    this.done++;
  }

  /** The masks as they are: SHUFFLED permutes nothing, and INVERTED has acted in each round. */
  finished(): Masks {
    return this.masks;
  }

  /** Each owner's scores as a round compares them. */
  compared(scores: Scores): Scores {
    const ups = new Set(this.mispaired.values());
    const found: Scores = {};
    for (const [name, each] of Object.entries(scores)) if (!ups.has(name)) found[name] = each;
    for (const [down, up] of this.mispaired)
      found[down] = this.published.chooseWrittenLast(scores[down]!, scores[up]!);
    const twice = new Set(this.mispaired.keys());
    const normalized = this.published.normalize?.(found, twice) ?? found;
    if (this.prune.control !== MaskControl.MASK_CONTROL_INVERTED) return normalized;
    // 0 becomes NaN. The square is rounded to the scores' own type.
    return mapped(normalized, (own) => {
      const squares = own.map((score) => score * score);
      return own.map((score, i) => score / squares[i]!);
    });
  }

  private doubt(scope: string, scores: Float64Array): void {
    const n = scores.length;
    const wrong = scores.reduce((count, score) => count + (Number.isFinite(score) ? 0 : 1), 0);
    const pruner = findWord(PRUNERS, this.prune.pruner)!;
    const at = `${pruner}, round ${this.done + 1} of ${this.densities.length}`;
    if (wrong > 0) {
      this.doubts.push(
        `${at}: ${wrong} of ${n} scores of ${scope} are NaN or infinite; NaN is not cut, and as ` +
          'the threshold it cuts nothing',
      );
    } else if (scores.every((score) => score === scores[0])) {
      this.doubts.push(
        `${at}: all ${n} scores of ${scope} are ${scores[0]}, so that they are kept or cut ` +
          'together',
      );
    }
  }
}

/** The modules whose prunable matrices these are: their names, and those of down and up. */
const listModules = (shapes: Shapes): [module: string, down: string, up: string][] =>
  Object.keys(shapes)
    .filter((name) => name.endsWith('.down.weight'))
    .map((down) => {
      const module = down.slice(0, -'.down.weight'.length);
      return [module, down, `${module}.up.weight`];
    });

const isSquare = (shapes: Shapes, down: string, up: string): boolean =>
  shapes[down]!.join() === shapes[up]!.join();

/**
 * By down.weight, up.weight of each module in which both have the same shape, because r is the
 * hidden size: the published code finds a mask's weight by its shape, so down.weight for both.
 */
function listMispaired(shapes: Shapes): Map<string, string> {
  return new Map(
    listModules(shapes)
      .filter(([, down, up]) => isSquare(shapes, down, up))
      .map(([, down, up]) => [down, up]),
  );
}

/**
 * By down.weight of each LoRA at an encoder's attention whose rank is the hidden size, the name of
 * its projection's frozen matrix: the published code takes both masks of that module for this
 * matrix's.
 */
export function listFrozenScored(shapes: Shapes): Map<string, string> {
  return new Map(
    listModules(shapes)
      .filter(([module, down, up]) => {
        const isAtAttention = /^layers\.\d+\.(query|value)$/.test(module);
        return isAtAttention && isSquare(shapes, down, up);
      })
      .map(([module, down]) => [down, `${module}.weight`]),
  );
}

/**
 * Throws EngineFailure if a LoRA's rank is a width of its projection and the published code ends
 * there: it finds the frozen weight for a mask, which has no gradient or another shape.
 */
function refuseLoraOfFullRank({ scoresFrozen }: Published, shapes: Shapes): void {
  const ofFrozen = scoresFrozen ? listFrozenScored(shapes) : new Map<string, string>();
  for (const [module, down, up] of listModules(shapes)) {
    const [rank, inputs] = shapes[down] as [number, number];
    const outputs = shapes[up]![0]!;
    const isLora = /(query|value|ffn_in|ffn_out)$/.test(module);
    if (!isLora || (rank !== inputs && rank !== outputs) || ofFrozen.has(down)) continue;
    throw new EngineFailure(
      FailureReason.FAILURE_REASON_DEGENERATE_MASK,
      `${module}: by OFFICIAL rules LoRA's rank ${rank} must differ from its projection's ` +
        `widths, ${inputs} and ${outputs}: otherwise the published code pairs a mask with the ` +
        'frozen weight, and fails; take another rank, or EXACT rules',
    );
  }
}
