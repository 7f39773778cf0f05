/** How scores become masks: with the exact number of weights, or as in SparseAdapter's code. */
import { MaskRules } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const MASK_RULES = defineVocabulary<MaskRules>()({
  exact: { proto: MaskRules.MASK_RULES_EXACT },
  official: { proto: MaskRules.MASK_RULES_OFFICIAL },
});

export type MaskRulesName = keyof typeof MASK_RULES;
