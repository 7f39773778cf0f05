/** How scores become masks: exactly as many as asked, or as SparseAdapter's published code does. */
import { MaskRules } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const MASK_RULES = defineVocabulary<MaskRules>()({
  exact: { proto: MaskRules.MASK_RULES_EXACT },
  official: { proto: MaskRules.MASK_RULES_OFFICIAL },
});

export type MaskRulesName = keyof typeof MASK_RULES;
