/** How a trial's frozen backbone is computed. Pure. */
import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { Trial } from './types';

export function readPrecision({ precision }: Pick<Trial, 'precision'>): PrecisionName {
  return precision ?? 'float32';
}
