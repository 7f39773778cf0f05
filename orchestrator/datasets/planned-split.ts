import type { SweepConfig } from '../config/sweep-config';
import type { PlannedDataset, PlannedSplit } from '../sweep/types';

/** What a task's rows say of its data set; the rest is the same for all tasks of a sweep. */
export type FoundRows = Omit<
  PlannedDataset,
  'digest' | 'tokenizer' | 'max_length' | 'rows' | 'validation_rows'
>;

/** A split of which the sweep takes as many rows as it is limited to; `of` rows are there. */
export function plannedSplit(
  name: string,
  file: string | null,
  of: number,
  digest: string,
  config: SweepConfig,
): PlannedSplit {
  const limit = name === 'train' ? config.rows : config.validation_rows;
  return { name, file, rows: Math.min(of, limit ?? of), of, digest };
}
