/** Changes to a finished mask that test whether the choice of weights mattered. */
import { MaskControl } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary, listWords } from './vocabulary';

export const MASK_CONTROLS = defineVocabulary<MaskControl>()({
  none: { proto: MaskControl.MASK_CONTROL_NONE },
  inverted: { proto: MaskControl.MASK_CONTROL_INVERTED },
  shuffled: { proto: MaskControl.MASK_CONTROL_SHUFFLED },
});

export type MaskControlName = keyof typeof MASK_CONTROLS;

export const MASK_CONTROL_NAMES = listWords(MASK_CONTROLS);
