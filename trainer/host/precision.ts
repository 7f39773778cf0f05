/** How a job's frozen backbone is computed. */
import { Precision, type JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';

/** FLOAT32 if the job leaves it unset. */
export function readPrecision({ precision }: Pick<JobSpec, 'precision'>): Precision {
  return precision === Precision.PRECISION_UNSPECIFIED ? Precision.PRECISION_FLOAT32 : precision;
}
