/** The head that weights are scored with, other than as it is drawn. */
import { ScoringHead } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary, listWords } from './vocabulary';

export const SCORING_HEADS = defineVocabulary<ScoringHead>()({
  prior: { proto: ScoringHead.SCORING_HEAD_PRIOR },
});

export type ScoringHeadName = keyof typeof SCORING_HEADS;

/** As in sweep files: `published` is the head as it is drawn. */
export type ScoringHeadChoice = 'published' | ScoringHeadName;

export const SCORING_HEAD_CHOICES: [ScoringHeadChoice, ...ScoringHeadChoice[]] = [
  'published',
  ...listWords(SCORING_HEADS),
];
