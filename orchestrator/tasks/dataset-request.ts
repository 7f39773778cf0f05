import type { RowLimits } from '../datasets/splits';
import type { SweepSearch } from '../config/sweep-config';
import type { OwnTask } from './family';
import type { FamilySettings } from './registry';

/** The part of a sweep's configuration that its data sets depend on. */
export interface DatasetRequest extends RowLimits, FamilySettings {
  name: string;
  /** The file it was read from; null if a command made it. */
  file: string | null;
  tasks: readonly RequestedTask[];
  /** null: each family's own default. */
  max_length: number | null;
  /** Of a search: which fraction of the training rows in use is held out; null: none. */
  search: Pick<SweepSearch, 'hold_out'> | null;
}

export interface RequestedTask {
  name: string;
  kind: string;
  /** null for a published task. */
  own: OwnTask | null;
}
