/** The head that weights are scored with, other than as it is drawn. */
import { ScoringHead } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const SCORING_HEADS = defineVocabulary<ScoringHead>()({
  prior: { proto: ScoringHead.SCORING_HEAD_PRIOR },
  warm_up: { proto: ScoringHead.SCORING_HEAD_WARMED_UP },
});

export type ScoringHeadName = keyof typeof SCORING_HEADS;

/** Those of sweep files that are a word: `published` is the head as it is drawn. */
export const SCORING_HEAD_WORDS = ['published', 'prior'] as const;

/** As in sweep files; warm_up: for how many steps it is trained before. */
export type ScoringHeadChoice = (typeof SCORING_HEAD_WORDS)[number] | { warm_up: number };
