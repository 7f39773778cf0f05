/** The arithmetic of the frozen backbone. */
import { Precision } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary, listWords } from './vocabulary';

export const PRECISIONS = defineVocabulary<Precision>()({
  float32: { proto: Precision.PRECISION_FLOAT32 },
  tf32: { proto: Precision.PRECISION_TF32 },
  bf16: { proto: Precision.PRECISION_BF16 },
});

export type PrecisionName = keyof typeof PRECISIONS;

export const PRECISION_NAMES = listWords(PRECISIONS);
