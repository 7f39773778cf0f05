/** How the frozen backbone is computed, by the words of sweep files and flags. Pure. */
import type { Precision, Trial } from '../sweep/types';

export const PRECISION_NAMES = ['float32', 'tf32', 'bf16'] as const satisfies readonly Precision[];

export function precisionOf({ precision }: Pick<Trial, 'precision'>): Precision {
  return precision ?? 'float32';
}
