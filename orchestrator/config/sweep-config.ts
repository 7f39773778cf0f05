import type { MaskControlName } from '../../common/vocabulary/mask-controls';
import type { MaskRulesName } from '../../common/vocabulary/mask-rules';
import type { NamedStructure } from '../../common/vocabulary/mask-structures';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { PruneScheduleName } from '../../common/vocabulary/prune-schedules';
import type { PruneScopeName } from '../../common/vocabulary/prune-scopes';
import type { PrunerName } from '../../common/vocabulary/pruners';
import type { ScoringHeadChoice } from '../../common/vocabulary/scoring-heads';
import type {
  AdapterConfig,
  AxisValues,
  PlannedEvaluation,
  PruneConfig,
  StopEarly,
  TrainConfig,
  Trial,
} from '../sweep/types';
import type { OwnTask } from '../tasks/family';
import type { FamilySettings } from '../tasks/registry';

/**
 * Training as a user sets it: a length in epochs or in steps (exactly one is not null), the rest as
 * in a trial.
 */
export interface TrainSettings extends Omit<TrainConfig, 'total_steps'> {
  epochs: number | null;
  steps: number | null;
}

/** Training settings that a line of `compare` compares with others. */
export interface TrainVariant {
  /** What a search chooses from, in the order of the values; without a search, one. */
  candidates: TrainCandidate[];
}

export interface TrainCandidate {
  /** Of the axes that are searched. */
  values: AxisValues;
  train: TrainSettings;
}

/** A task of a sweep with complete training settings and the other settings of its trials. */
export interface TaskConfig extends Pick<Trial, 'generation'> {
  name: string;
  /** A kind of a task family. */
  kind: string;
  /** For each line of `compare`: the product of its axes. */
  lines: TrainVariant[][];
  /** How long each trial's training may take; null: any time. Not part of a trial. */
  max_minutes: number | null;
  /** null for a published task. */
  own: OwnTask | null;
}

/**
 * When the rounds of pruning during training take place, in epochs: the start of the first round,
 * and the interval between rounds.
 */
export interface Progressive {
  begin_epoch: number;
  every_epochs: number;
}

/** One line of `compare`. Every choice is a list, and the line means their product. */
export interface CompareLine {
  /** Where it is written, for messages: `file:line`, or `command line`. */
  origin: string;
  pruner: PrunerName[];
  /** Official if the sweep has `compat: official`. */
  rules: MaskRulesName;
  /**
   * The fraction removed, whatever the word means in the file. Empty if the pruner is none, for N:M
   * and for Large-Sparse.
   */
  sparsity: number[];
  /** Empty if the line has no n_m. */
  n_m: Pick<PruneConfig, 'group_kept' | 'group_size'>[];
  /** Unused if the line has n_m. */
  structure: NamedStructure[];
  /**
   * Whether sparsity is chosen so that each of the adapters keeps as many weights as the sweep's
   * dense reference (Large-Sparse).
   */
  large_sparse: boolean;
  /**
   * For a dense adapter: what other lines prune. Each of the adapters is made as narrow as it takes
   * to have the weights that are kept there. Empty: they are as they are.
   */
  same_budget_as: Pick<PruneConfig, 'pruner' | 'sparsity'>[];
  scope: PruneScopeName[];
  /**
   * Like the next three keys, only for pruners that use it (pruners.ts). null: as in the published
   * code.
   */
  scoring_rows: number[] | null;
  scoring_head: ScoringHeadChoice[];
  temperature: number[];
  /** Pruning during training uses it with every pruner; null: each pruner's own default. */
  rounds: number[] | null;
  schedule: PruneScheduleName[];
  /** null: pruning is at initialization. */
  progressive: Progressive | null;
  /** Under compat official, before how many epochs all rounds take place. */
  repeats: number;
  control: MaskControlName[];
  reinitialize: boolean[];
  /** Every adapter that the line compares, complete. */
  adapters: AdapterConfig[];
}

/** A search before the comparison, which chooses some training settings on held-out rows. */
export interface SweepSearch {
  /** Keys of `train`. */
  over: string[];
  /** The fraction of the training rows in use. */
  hold_out: number;
  /** Seeds of the search; none is among those of the sweep. */
  seeds: number[];
  /** How many candidates are drawn for each variant; null: all combinations of the values. */
  random: number | null;
  /** null: every candidate is trained to its end. */
  stop_early: StopEarly | null;
}

/** A sweep as the user wants it, checked and complete. */
export interface SweepConfig extends FamilySettings {
  name: string;
  /** The file it was read from; null if a command made it. */
  file: string | null;
  /** The profile that was applied. */
  profile: string | null;
  /** The file's profiles, for messages. */
  profiles: { name: string; description: string }[];
  /** A directory, a hub id or the small default's name. */
  backbone: string;
  /** null: the default for the trainer's device (DEFAULT_PRECISION). */
  precision: PrecisionName | null;
  tasks: TaskConfig[];
  compare: CompareLine[];
  seeds: number[];
  search: SweepSearch | null;
  /** Maximum training rows and validation rows per task; null takes all. */
  rows: number | null;
  validation_rows: number | null;
  /** null: each task family's own default. */
  max_length: number | null;
  /** Points within which the report calls differences equal; null: it does not. */
  margin: number | null;
  /** null: trials are evaluated at their end. */
  evaluate: PlannedEvaluation | null;
  /** Under compat official, what trains, by parts of its published name; null: `ef_`. */
  unfreeze_params: string | null;
}
