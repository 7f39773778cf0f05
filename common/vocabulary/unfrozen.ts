/** The part of the backbone that is trained. */
import { Unfrozen } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const UNFROZEN = defineVocabulary<Unfrozen>()({
  none: { proto: Unfrozen.UNFROZEN_NONE },
  biases: { proto: Unfrozen.UNFROZEN_BIASES },
  all: { proto: Unfrozen.UNFROZEN_ALL },
});

export type UnfrozenName = keyof typeof UNFROZEN;
