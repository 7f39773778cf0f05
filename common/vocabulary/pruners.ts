/** The saliency criteria. What each computes, to the formula, is in `Pruner` of job.proto. */
import { Pruner } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { AdapterNormName } from './adapter-norms';
import { defineVocabulary, filterWords, listWords } from './vocabulary';

/** Keys of a sweep file that only some pruners use; for the others each has one value. */
export type PrunerKey = 'scoring_rows' | 'temperature' | 'rounds';

export interface PrunerRow {
  /** A weight's score. */
  readonly score: string;
  readonly paper: string | null;
  /**
   * `scoring_rows`: scores are of the loss's gradient over that many training rows. `rounds`:
   * scores differ from round to round at initialization; the others' do during training only.
   */
  readonly uses: readonly PrunerKey[];
  /** Rounds where a sweep file names none. */
  readonly rounds: number;
  /** Whether masks are drawn, so that equal scores are no sign of a fault. */
  readonly isRandom: boolean;
  /**
   * Whether it sets each matrix's density itself: it has one scope, one round, and no structure but
   * single weights.
   */
  readonly setsDensities: boolean;
  /** Why `compat: official` refuses it; null where the published code has it. */
  readonly unpublished: string | null;
  /** What its scores say where all of up is 0 (init zero_up); null where that does not matter. */
  readonly zeroUp: ZeroUp | null;
  /** By the published code's rules, what is wrong with its scores where modules normalize. */
  readonly officialNorms: Partial<Record<AdapterNormName, NormFault>>;
}

type ZeroUp =
  /** Refused, but by the published code's rules, where no result fails a trial, if it has them. */
  | { readonly refused: string; readonly official?: string }
  /** Refused where scores of up are compared with each other alone, and warned of elsewhere. */
  | { readonly refusedApart: string; readonly warning: string };

type NormFault = { readonly refused: string } | { readonly warning: string };

/** What a pruner is that has nothing of its own. */
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
 * Where up is 0, so is the gradient of down, and up itself: |g · w| and SynFlow's score are 0
 * everywhere; GraSP's w · (H g) is 0 for all of up.
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
    // As in its paper: it removes whole layers in fewer.
    rounds: 100,
    zeroUp: {
      refused: 'all scores would be 0',
      official: 'all scores are 0, so everything is cut',
    },
    officialNorms: {
      before: { warning: 'all scores are 0, so everything is cut' },
      after: {
        refused: 'its scores there are rounding errors; must be used with norm before or none',
      },
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
});

export type PrunerName = keyof typeof PRUNERS;

export const PRUNER_NAMES = listWords(PRUNERS);

export function usesKey(pruner: PrunerName, key: PrunerKey): boolean {
  return PRUNERS[pruner].uses.includes(key);
}

export function listUsersOf(key: PrunerKey): PrunerName[] {
  return filterWords(PRUNERS, ({ uses }) => uses.includes(key));
}
