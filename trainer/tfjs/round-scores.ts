/** Scores of a round of pruning, at initialization or during training. */
import { MaskRules, type Dataset, type Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { readOwnTensors } from './backbone-files';
import type { ScoringStore } from './scoring-store';
import { makeViews, type Layout } from './layout';
import type { LoadedJob } from './loaded-job';
import { listFrozenScored } from './official-rules';
import { findScorer } from './pruners';
import type { Masks, Scores } from './ranking';
import { ScoringGradients, type Passes } from './scoring-gradient';

/** A trial before a round. */
export interface Scored {
  trial: Trial;
  layout: Layout;
  /** A flat vector of the layout, in which removed weights may have values. */
  weights: Float32Array;
  masks: Masks;
  /** How many rounds came before. */
  done: number;
}

export interface FoundScores {
  scores: Scores;
  /** Gradients that scoring leaves of trained tensors that are not prunable. */
  left: Readonly<Record<string, Float32Array>>;
}

export class RoundScores {
  private readonly gradients: ScoringGradients;

  /**
   * passes: told of every pass over rows; rows: those to score on, if not the trial's own; first:
   * gradients of first rounds from earlier jobs with this backbone.
   */
  constructor(
    private readonly loaded: LoadedJob,
    dataset: Dataset,
    private readonly passes: Passes,
    rows?: Int32Array,
    first?: ScoringStore,
  ) {
    this.gradients = new ScoringGradients(loaded, dataset, passes, rows, first);
  }

  /** isAtStart: whether other trials may have the same first round. */
  async find(
    { trial, layout, weights, masks, done }: Scored,
    isAtStart: boolean,
  ): Promise<FoundScores> {
    const left: Record<string, Float32Array> = {};
    const now = masked(weights, masks);
    const all = makeViews(layout.shapes, weights);
    const isPrunable = (name: string): boolean => name in layout.prunableShapes;
    const pick = (wanted: (name: string) => boolean): Record<string, Float32Array> =>
      Object.fromEntries(Object.entries(all).filter(([name]) => wanted(name)));
    const keeps = (name: string): boolean =>
      trial.prune!.keepsScoringGradients && !isPrunable(name) && !layout.frozen.has(name);
    const leave = (gradients: Record<string, Float32Array>): void => {
      for (const [name, values] of Object.entries(gradients)) if (keeps(name)) left[name] = values;
    };
    const isFirst = isAtStart && done === 0;
    const { hidden, layers } = this.loaded.backbone;
    const scores = await findScorer(trial.prune!.pruner).score({
      trial,
      done,
      isOfficial: trial.prune!.rules === MaskRules.MASK_RULES_OFFICIAL,
      shapes: layout.prunableShapes,
      weights: makeViews(layout.prunableShapes, now.subarray(0, layout.prunable)),
      unmasked: pick(isPrunable),
      others: pick((name) => !isPrunable(name)),
      layers: layers.length,
      hidden,
      passed: () => this.passes.passed(1),
      frozen: () => this.readFrozen(layout),
      leave,
      gradient: async () => {
        const wanted = (name: string): boolean => isPrunable(name) || keeps(name);
        const found = await this.gradients.at(trial, layout, now, wanted, isFirst);
        leave(found);
        return found;
      },
      squaredGradients: () => this.gradients.squaredAt(trial, layout, now, isPrunable, isFirst),
    });
    return { scores, left };
  }

  private readFrozen({ prunableShapes }: Layout): Record<string, Float32Array> {
    const { path, modelType } = this.loaded.backbone;
    const names = listFrozenScored(prunableShapes);
    const found = readOwnTensors(path, modelType, [...names.values()]);
    return Object.fromEntries([...names].map(([down, own]) => [down, found.get(own)!]));
  }
}

/**
 * A copy in which the weights that the masks remove are 0. Prunable weights come first in the
 * vector.
 */
export function masked(weights: Float32Array, masks: Masks): Float32Array {
  const result = weights.slice();
  let at = 0;
  for (const mask of Object.values(masks)) for (const kept of mask) result[at++]! *= kept;
  return result;
}
