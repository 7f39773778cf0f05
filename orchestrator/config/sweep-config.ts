import type { MaskControlName } from '../../common/vocabulary/mask-controls';
import type { MaskRulesName } from '../../common/vocabulary/mask-rules';
import type { NamedStructure } from '../../common/vocabulary/mask-structures';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { PruneScheduleName } from '../../common/vocabulary/prune-schedules';
import type { PruneScopeName } from '../../common/vocabulary/prune-scopes';
import type { PrunerName } from '../../common/vocabulary/pruners';
import type { AdapterConfig, PruneConfig, TrainConfig, Trial } from '../sweep/types';
import type { OwnTask } from '../tasks/family';
import type { FamilySettings } from '../tasks/registry';

/**
 * Training as a user states it: a length in epochs or in steps (exactly one is not null), the rest
 * as in a trial.
 */
export interface TrainSettings extends Omit<TrainConfig, 'total_steps'> {
  epochs: number | null;
  steps: number | null;
}

/** A task of a sweep, with its training settings resolved, and what its trials have besides. */
export interface TaskConfig extends Pick<Trial, 'generation'> {
  name: string;
  /** A kind of a task family. */
  kind: string;
  train: TrainSettings;
  /** null for a published task. */
  own: OwnTask | null;
}

/**
 * When the rounds of pruning during training take place, in epochs: the first, and each of the
 * others after the one before it.
 */
export interface Progressive {
  begin_epoch: number;
  every_epochs: number;
}

/** One line of `compare`, with every choice a list: the line stands for their product. */
export interface CompareLine {
  /** Where it is written, for messages: `file:line`, or `command line`. */
  origin: string;
  pruner: PrunerName[];
  /** Official in a sweep of `compat: official`. */
  rules: MaskRulesName;
  /**
   * The fraction removed, whatever the file's meaning of the word. Empty where the pruner is none,
   * for N:M and for Large-Sparse.
   */
  sparsity: number[];
  /** Empty where the line does not say n_m. */
  n_m: Pick<PruneConfig, 'group_kept' | 'group_size'>[];
  /** Where the line does not say n_m. */
  structure: NamedStructure[];
  /**
   * Whether sparsity is chosen so that each of the adapters keeps as many weights as the sweep's
   * dense reference (Large-Sparse).
   */
  large_sparse: boolean;
  scope: PruneScopeName[];
  /**
   * For pruners that use it (pruners.ts), as the two keys below; null: ten for each output of the
   * task, as the published code has it.
   */
  scoring_rows: number[] | null;
  temperature: number[];
  /** During training every pruner uses it; null: each pruner's own default. */
  rounds: number[] | null;
  schedule: PruneScheduleName[];
  /** null: pruning is at initialization. */
  progressive: Progressive | null;
  control: MaskControlName[];
  reinitialize: boolean[];
  /** Every adapter that the line compares, complete. */
  adapters: AdapterConfig[];
}

/** A sweep as the user wants it, checked and complete. */
export interface SweepConfig extends FamilySettings {
  name: string;
  /** The file it was read from; null where a command made it. */
  file: string | null;
  /** The profile that was applied. */
  profile: string | null;
  /** The profiles that the file has, for messages. */
  profiles: { name: string; description: string }[];
  /** A directory, a hub id or the small default's name. */
  backbone: string;
  /** null: that of the trainer's device (DEFAULT_PRECISION). */
  precision: PrecisionName | null;
  tasks: TaskConfig[];
  compare: CompareLine[];
  seeds: number[];
  /** At most this many training and validation rows a task; null takes all. */
  rows: number | null;
  validation_rows: number | null;
  /** null: each task family's own default. */
  max_length: number | null;
}
