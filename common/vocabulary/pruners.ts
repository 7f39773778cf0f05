/** The saliency criteria; `Pruner` in job.proto has their formulas. */
import { Pruner } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { AdapterNormName } from './adapter-norms';
import { defineVocabulary, filterWords, listWords } from './vocabulary';

/** Keys of a sweep file that only some pruners use, and that have a fixed value for the others. */
export type PrunerKey = 'scoring_rows' | 'temperature' | 'rounds';

export interface PrunerRow {
  /** A weight's score. */
  readonly score: string;
  readonly paper: string | null;
  /**
   * `scoring_rows`: scores use the gradient of the loss over this many training rows. `rounds`:
   * scores at initialization differ from round to round; those of other pruners differ only during
   * training.
   */
  readonly uses: readonly PrunerKey[];
  /** Rounds if a sweep file sets none. */
  readonly rounds: number;
  /** Whether masks are random, so that equal scores do not mean a fault. */
  readonly isRandom: boolean;
  /**
   * Whether it sets the density of each matrix itself. It then has one scope, one round, and only
   * single weights as structure.
   */
  readonly setsDensities: boolean;
  /** Why `compat: official` refuses it; null if the published code has it. */
  readonly unpublished: string | null;
  /** What is wrong with its scores if up is all 0 (init zero_up); null if nothing is. */
  readonly zeroUp: ZeroUp | null;
  /**
   * What is wrong with its scores before training under the published code's rules, by the
   * modules' norm.
   */
  readonly officialNorms: Partial<Record<AdapterNormName, string>>;
}

type ZeroUp =
  /** Refused, except under the published code's rules, which give the warning `official`. */
  | { readonly refused: string; readonly official?: string }
  /** Refused if scores of up are compared only with each other; otherwise a warning. */
  | { readonly refusedApart: string; readonly warning: string };

/** A pruner without special properties. */
const PLAIN = {
  paper: null,
  uses: [],
  rounds: 1,
  isRandom: false,
  setsDensities: false,
  unpublished: null,
  zeroUp: null,
  officialNorms: {},
} as const;

/*
 * If up is 0, the gradient of down is 0 too. So |g · w| and SynFlow's score are 0 everywhere, and
 * GraSP's w · (H g) is 0 for all of up.
 */
export const PRUNERS = defineVocabulary<Pruner, PrunerRow>()({
  none: { ...PLAIN, proto: Pruner.PRUNER_NONE, score: 'none: the dense adapter' },
  rand: { ...PLAIN, proto: Pruner.PRUNER_RAND, score: 'random', isRandom: true },
  mag: {
    ...PLAIN,
    proto: Pruner.PRUNER_MAG,
    score: '|w|',
    zeroUp: {
      refusedApart: 'scores of up, all 0, would be compared with each other alone',
      warning: 'up is all 0, so all of it is removed before any weight of down',
    },
  },
  snip: {
    ...PLAIN,
    proto: Pruner.PRUNER_SNIP,
    score: '|g · w|, divided by its sum',
    paper: 'Lee et al. 2019',
    uses: ['scoring_rows', 'rounds'],
    zeroUp: {
      refused: 'all scores would be 0',
      official: 'all scores become NaN, so nothing is cut',
    },
  },
  er: {
    ...PLAIN,
    proto: Pruner.PRUNER_ER,
    score: 'random within a matrix, at Erdős–Rényi densities',
    paper: 'Mocanu et al. 2018',
    isRandom: true,
    setsDensities: true,
    unpublished: 'it is in the paper, not in the published code',
  },
  grasp: {
    ...PLAIN,
    proto: Pruner.PRUNER_GRASP,
    score: 'w · (H g)',
    paper: 'Wang et al. 2020',
    uses: ['scoring_rows', 'temperature', 'rounds'],
    zeroUp: {
      refused: 'all scores of up would be 0',
      official: 'all scores of up are 0, so up is cut as a whole or not at all',
    },
  },
  synflow: {
    ...PLAIN,
    proto: Pruner.PRUNER_SYNFLOW,
    score: '|w · ∂R/∂w|, R being what flows through the modules',
    paper: 'Tanaka et al. 2020',
    uses: ['rounds'],
    // As in its paper: with fewer it removes whole layers.
    rounds: 100,
    zeroUp: {
      refused: 'all scores would be 0',
      official: 'all scores are 0, so everything is cut',
    },
    officialNorms: {
      before: 'all scores are 0, so everything is cut',
      // A norm's outputs sum to a constant.
      update: 'its scores are rounding errors, so what is cut differs from machine to machine',
    },
  },
  gradient: {
    ...PLAIN,
    proto: Pruner.PRUNER_GRADIENT,
    score: '|g|',
    paper: 'Bhardwaj et al. 2024 (SHiRA-Grad)',
    uses: ['scoring_rows', 'rounds'],
    unpublished: 'it is not in the published code',
    zeroUp: { refused: 'all scores of down would be 0' },
  },
  fisher: {
    ...PLAIN,
    proto: Pruner.PRUNER_FISHER,
    score: 'Σ gᵢ², gᵢ being the gradient of one row',
    paper: 'Sung et al. 2021 (FISH)',
    uses: ['scoring_rows', 'rounds'],
    unpublished: 'it is not in the published code',
    zeroUp: { refused: 'all scores of down would be 0' },
  },
  skeleton: {
    ...PLAIN,
    proto: Pruner.PRUNER_SKELETON,
    score: '−g · w',
    paper: 'Mozer & Smolensky 1989',
    uses: ['scoring_rows', 'rounds'],
    unpublished: 'it is not in the published code',
    zeroUp: { refused: 'all scores would be 0' },
  },
});

export type PrunerName = keyof typeof PRUNERS;

export const PRUNER_NAMES = listWords(PRUNERS);

export function usesKey(pruner: PrunerName, key: PrunerKey): boolean {
  return PRUNERS[pruner].uses.includes(key);
}

export function listUsersOf(key: PrunerKey): PrunerName[] {
  return filterWords(PRUNERS, ({ uses }) => uses.includes(key));
}
