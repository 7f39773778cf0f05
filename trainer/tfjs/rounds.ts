/** From scores to masks, over the rounds of Prune in job.proto. */
import { MaskRules, type Prune } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { densities } from './densities';
import type { Shapes } from './layout';
import { OfficialRules } from './official-rules';
import { Ranking, type Masks, type Scores } from './ranking';

export interface Rounds {
  readonly isDone: boolean;
  /** What the rounds have kept so far. */
  readonly masks: Masks;
  /** What is odd about scores so far that the rules accept. */
  readonly doubts: readonly string[];
  keep(scores: Scores): void;
  /** The masks with the control applied. */
  finished(): Masks;
}

/** Throws EngineFailure (DEGENERATE_MASK) if nothing would be kept, or these rules would fail. */
export const makeRounds = (prune: Prune, seed: number, shapes: Shapes): Rounds =>
  prune.rules === MaskRules.MASK_RULES_OFFICIAL
    ? new OfficialRules(prune, shapes, densities(prune))
    : new Ranking(prune, seed, shapes);
