/** The part of the backbone that is trained. */
import { Unfrozen } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const UNFROZEN = defineVocabulary<Unfrozen>()({
  none: { proto: Unfrozen.UNFROZEN_NONE },
  biases: { proto: Unfrozen.UNFROZEN_BIASES },
  all: { proto: Unfrozen.UNFROZEN_ALL },
});

export type UnfrozenName = keyof typeof UNFROZEN;

/** The biases of a layer that have an effect, which `biases` trains: a key's has none. */
export const LAYER_BIASES = [
  'query',
  'value',
  'attention_output',
  'attention_norm',
  'ffn_in',
  'ffn_out',
  'ffn_norm',
] as const;
