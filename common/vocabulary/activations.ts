/** The non-linearity of a bottleneck module. */
import { Activation } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary, listWords } from './vocabulary';

export const ACTIVATIONS = defineVocabulary<Activation>()({
  relu: { proto: Activation.ACTIVATION_RELU },
  gelu: { proto: Activation.ACTIVATION_GELU },
  swish: { proto: Activation.ACTIVATION_SWISH },
});

export type ActivationName = keyof typeof ACTIVATIONS;

export const ACTIVATION_NAMES = listWords(ACTIVATIONS);
