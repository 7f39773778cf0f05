/**
 * Types of a sweep's files `plan.json` and `trials/<id>/result.json`. Names are as in the files
 * (snake_case), so that a thing has one name in YAML, plan, results and here.
 *
 * This file imports only types because workflows, which must not touch Node, use it, too.
 */
import type { ActivationName } from '../../common/vocabulary/activations';
import type { AdapterInitName } from '../../common/vocabulary/adapter-inits';
import type { AdapterNormName } from '../../common/vocabulary/adapter-norms';
import type { AttentionModuleName } from '../../common/vocabulary/attention-modules';
import type { FfnModuleName } from '../../common/vocabulary/ffn-modules';
import type { LearningRateScheduleName } from '../../common/vocabulary/learning-rate-schedules';
import type { MaskControlName } from '../../common/vocabulary/mask-controls';
import type { MaskRulesName } from '../../common/vocabulary/mask-rules';
import type { MaskStructureName } from '../../common/vocabulary/mask-structures';
import type { OptimizerName } from '../../common/vocabulary/optimizers';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { PrefixInitName } from '../../common/vocabulary/prefix-inits';
import type { PrefixUseName } from '../../common/vocabulary/prefix-uses';
import type { PruneScheduleName } from '../../common/vocabulary/prune-schedules';
import type { PruneScopeName } from '../../common/vocabulary/prune-scopes';
import type { PrunerName } from '../../common/vocabulary/pruners';
import type { ScoringHeadName } from '../../common/vocabulary/scoring-heads';
import type { UnfrozenName } from '../../common/vocabulary/unfrozen';

/**
 * The trained modules of a trial. Fields as in `Adapter` of job.proto. A field that the modules do
 * not use has one fixed value, whatever the user wrote, so that equal adapters are equal here.
 */
export interface AdapterConfig {
  attention: AttentionModuleName;
  ffn: FfnModuleName;
  /**
   * r of the attention module: inner width, LoRA's rank, or length of the prefix or prompt; 0
   * without a module.
   */
  attention_bottleneck: number;
  /** r of the feed-forward module, in the same way. */
  ffn_bottleneck: number;
  /** s of modules with a bottleneck; 1 without one. */
  scale: number;
  /** `none` without a module that has a bottleneck. */
  norm: AdapterNormName;
  /** `relu` without such a module. */
  activation: ActivationName;
  /** `gaussian` if no matrix is drawn. */
  init: AdapterInitName;
  /** For gaussian matrices, prefixes and prompts; 0 if nothing is drawn with it. */
  init_std: number;
  /** LoRA's α: the update is α / r · up(down(x)); 0 without LoRA. */
  lora_alpha: number;
  /** Inner width of the prefix's MLP; 0 without an MLP or a prefix. */
  prefix_hidden: number;
  /**
   * What is trained in the backbone itself: its biases (BitFit) or all of it (full fine-tuning);
   * `none` if there is a module.
   */
  unfrozen: UnfrozenName;
  // Each of the following is absent where it changes nothing, so that such adapters keep the ids
  // from before the contract had it.
  /** s, norm and init of the bottleneck at attention, where they are its own. */
  attention_scale?: number;
  attention_norm?: AdapterNormName;
  attention_init?: AdapterInitName;
  learned_scale?: true;
  inner_dropout?: true;
  ffn_after_dropout?: true;
  prefix_init?: PrefixInitName;
  prefix_use?: PrefixUseName;
  frozen?: string[];
  unfrozen_tensors?: string[];
  padded_tokens?: number;
}

/**
 * How an adapter is pruned: at initialization, or in rounds during training. Fields as in `Prune`
 * of job.proto; a field that a pruner does not use has one fixed value.
 */
export interface PruneConfig {
  pruner: PrunerName;
  /** Fraction of prunable weights removed, in [0, 1); 0 for `none`. */
  sparsity: number;
  scope: PruneScopeName;
  /** Training rows to score on; 0 for pruners that use none. */
  scoring_rows: number;
  /** Divides the logits when scoring; 0 for pruners that do not use it. */
  temperature: number;
  /**
   * Rounds in which the density falls, for pruners that use them and for all during training;
   * otherwise 1.
   */
  rounds: number;
  /** `exponential` if there is one round. */
  schedule: PruneScheduleName;
  control: MaskControlName;
  /** Whether weights are redrawn after masking. */
  reinitialize: boolean;
  /**
   * What is removed together: single weights, all but N of each group of neighbours (N:M), or whole
   * bottleneck units.
   */
  structure: MaskStructureName;
  /** M and N of n_m; 0 for the other structures. */
  group_size: number;
  group_kept: number;
  /** Steps between rounds during training; 0 for pruning at initialization. */
  every_steps: number;
  /** Steps before the first round during training; 0 for pruning at initialization. */
  begin_step: number;
  /** How scores become masks: with exact counts, or as in the code published with SparseAdapter. */
  rules: MaskRulesName;
  // Absent where they change nothing, as in AdapterConfig.
  scoring_batch?: number;
  keeps_removed_weights?: true;
  keeps_scoring_gradients?: true;
  repeats?: number;
  scoring_head?: ScoringHeadName;
  scoring_head_steps?: number;
}

/** How a trial is trained. Fields as in `Train` of job.proto. */
export interface TrainConfig {
  batch_size: number;
  total_steps: number;
  learning_rate: number;
  weight_decay: number;
  warmup: number;
  schedule: LearningRateScheduleName;
  max_grad_norm: number;
  adam_beta1: number;
  adam_beta2: number;
  adam_epsilon: number;
  dropout: number;
  attention_dropout: number;
  /** Of summarization alone, and of classification as the published code does it. */
  label_smoothing?: number;
  // Absent where they change nothing, as in AdapterConfig.
  optimizer?: OptimizerName;
  accumulated_batches?: number;
  loss_parts?: number;
}

/** How summaries are generated: beam search. Fields as in `Generation` of job.proto. */
export interface GenerationConfig {
  beams: number;
  /** Minimum (without the end token) and maximum (without the start token) of generated tokens. */
  min_length: number;
  max_length: number;
  /** Blocks repeated n-grams of this size; 0 disables. */
  no_repeat_ngram: number;
  /** The sum of log-probabilities is divided by the length to this power. */
  length_penalty: number;
}

/**
 * One fully resolved configuration. Its id is a hash of everything else here, so the same trial is
 * the same trial in any sweep.
 */
export interface Trial {
  /** `t` and 16 hex digits. */
  id: string;
  task: string;
  /** Digest of the data set (PlannedDataset.digest). */
  dataset: string;
  /** Digest of the backbone (PlannedBackbone.digest). */
  backbone: string;
  adapter: AdapterConfig;
  prune: PruneConfig;
  train: TrainConfig;
  /** Of summarization alone. */
  generation?: GenerationConfig;
  /** Absent for float32, so that such trials keep the ids from before there was a choice. */
  precision?: Exclude<PrecisionName, 'float32'>;
  seed: number;
}

/** The frozen pretrained model, resolved to a directory. */
export interface PlannedBackbone {
  /** As the user wrote it: a name, a hub id or a directory. */
  name: string;
  /** Absolute directory on this machine. */
  path: string;
  /** Hex SHA-256 of configuration and weights. */
  digest: string;
  /** `model_type` of config.json: `bert`, `roberta`, `bart`, `t5`. */
  model_type: string;
  hidden_size: number;
  /**
   * Width of an attention's queries, keys or values over all heads, if it differs from the hidden
   * size (T5).
   */
  attention_size?: number;
  /** Inner width of the feed-forward block. */
  intermediate_size: number;
  num_layers: number;
  /** Only for an encoder–decoder, whose encoder is described by the two fields above. */
  decoder?: { intermediate_size: number; num_layers: number };
  /** Rows of the word, position and token type embeddings; 0 if the model has none. */
  vocab_size: number;
  max_position_embeddings: number;
  type_vocab_size: number;
  /** Number of weights, for display. */
  weights: number;
}

/** One split of a planned data set. */
export interface PlannedSplit {
  /** Its name in the data set: `train`, `validation`, and for MNLI `validation_mismatched`. */
  name: string;
  /** The file the rows come from; null for demo rows. */
  file: string | null;
  /** Rows used; questions in question answering. */
  rows: number;
  /** Rows the source has. */
  of: number;
  /**
   * Question answering only: windows of those questions' contexts, which the trainer treats as
   * rows.
   */
  features?: number;
  /**
   * Published summaries only: further rows of the source, unused because document or summary is
   * empty.
   */
  left_out?: number;
  /**
   * What is said of the used rows before anything runs; no part of any digest, and absent in plans
   * of earlier versions. Classification only: how many have each class, in the order of
   * label_names.
   */
  class_rows?: number[];
  /** Regression only: the smallest and the largest label. */
  label_range?: [number, number];
  /** How many have the texts of a used training row; absent for the training split. */
  also_in_train?: number;
  /** Hex SHA-256 of the file's content; of the rows' JSON if they are generated. */
  digest: string;
}

/**
 * A data set to prepare: which rows, and how they become token ids. Its task family
 * (orchestrator/tasks) adds more fields.
 */
export interface PlannedDataset {
  /**
   * Hex SHA-256 (first 32 digits) of source rows, tokenizer and choice of rows; names
   * `datasets/<digest>`.
   */
  digest: string;
  task: string;
  /** What is learned from its rows: a task family's kind, and TaskKind of job.proto. */
  kind: string;
  num_labels: number;
  /** Class names in index order; empty for the other kinds. */
  label_names: string[];
  /** Metric names in report order; the first decides. */
  metrics: string[];
  /**
   * Where rows come from: the user's files, the hub, or generated by this project (never to be
   * reported as published rows).
   */
  source: 'files' | 'hub' | 'demo';
  splits: PlannedSplit[];
  /** Hex SHA-256 of the files that define the tokenizer. */
  tokenizer: string;
  /**
   * Maximum tokens per row, special tokens included. Longer pairs lose tokens of the longer text
   * first; longer contexts of questions become several rows.
   */
  max_length: number;
  /** Maximum training and validation rows; null takes all. */
  rows: number | null;
  validation_rows: number | null;
  /**
   * Of a search: its validation rows were held out of the training rows, and the task's own are
   * not in it. Part of the digest.
   */
  held_out?: HeldOut;
}

/** Which training rows are held out, and so become the validation rows. */
export interface HeldOut {
  /** The fraction of the training rows in use, in (0, 1). */
  fraction: number;
}

/** Trials that are trained together. Which ones is a pure function of the plan. */
export interface Cohort {
  /** `c01-mrpc`: unique in the sweep, in the order of execution. */
  id: string;
  /** Digest of the data set. */
  dataset: string;
  trials: string[];
  /** How long each of its trials may train; absent: any time. Not part of what a trial is. */
  max_minutes?: number;
  /**
   * Of a search that stops early: each trial is trained until this step, below its last, and
   * measured there. Whether it goes on, in a cohort of its own, is decided then.
   */
  until_step?: number;
  /** Steps, growing and below the last, at which its trials are evaluated, too; absent for none. */
  evaluate_at?: number[];
}

/** A cohort, as workflows know it. */
export interface CohortRef extends Pick<Cohort, 'id' | 'dataset'> {
  /** Whether its trials are evaluated on the way. */
  isEvaluated?: true;
}

/** Evaluations of the comparison's trials in the middle of their training. */
export interface PlannedEvaluation {
  /** A fraction of a trial's training, in (0, 1). */
  every: 'epoch' | number;
  /** Of which of them the tables have the metrics; best: by the deciding one, on the same rows. */
  report: 'last' | 'best';
}

/** Values of the axes that a search is over, by their key: `{ learning_rate: 0.001 }`. */
export type AxisValues = Record<string, number | string>;

/**
 * A search before the comparison: each variant of each task is tried with several values on rows
 * that are held out of its training rows, by seeds of their own, and the comparison then takes the
 * value that was best there.
 */
export interface PlannedSearch {
  /** The keys of the axes that are searched. */
  over: string[];
  /** Absent: every candidate is trained to its end. */
  stop_early?: StopEarly;
  /** How many trials the cohorts of the comparison have at most. */
  max_cohort: number;
  /** One for each variant of each task that has several candidates. */
  choices: PlannedChoice[];
}

/**
 * Which candidates are trained no further because others are ahead: successive halving, at each
 * rung by the deciding metric on the held-out rows (Jamieson and Talwalkar, AISTATS 2016).
 */
export interface StopEarly {
  /** Fractions of a trial's training, growing, each in (0, 1). */
  rungs: number[];
  /** The fraction of the candidates that goes on after a rung, in (0, 1); rounded up. */
  keep: number;
  /** Each choice is made by itself, and a candidate goes on once no other can pass it. */
  asynchronous?: true;
}

/** A choice between values. */
export interface PlannedChoice {
  task: string;
  /** In the order of the values. */
  candidates: Candidate[];
  /** Indices of the candidates that went on after each rung that is decided. */
  went_on?: number[][];
  /** Indices of those that go on from the next rung, although others are not there yet. */
  ahead?: number[];
  /** Index of the best candidate, once it is decided; null: all of them failed. */
  chosen?: number | null;
}

export interface Candidate {
  values: AxisValues;
  /** Its trials on held-out rows, in the order of the search's seeds; they are in Plan.trials. */
  trials: string[];
  /** Its trials for the comparison, in the order of seeds: in Plan.trials only if it is chosen. */
  confirm: Trial[];
}

/** What is added to a sweep after it was started. Each cell of its table gets every seed. */
export interface Extension {
  seeds?: number[];
  /** Lines of `compare` as they are written in a sweep file. */
  compare?: object[];
  /** Its search stops no trial early, and those that it had stopped go on to their end. */
  rungs?: 'off';
}

/**
 * What a user asked for at a start, in `sweeps/<sweep id>/asked.json`: with backbone and data sets
 * of the plan all that it takes to plan the sweep again.
 */
export interface Asked {
  /** Raised when files of earlier versions can no longer be read. */
  format: 1;
  name: string;
  /** null if a command made it, by `settings` alone. */
  file: { path: string; text: string } | null;
  /** Of the file. */
  profile: string | null;
  /** Those of a command's flags, as they are written in a sweep file. */
  settings: Record<string, unknown>;
}

/**
 * A planned sweep: everything needed to run it, in `sweeps/<sweep id>/plan.json`. Written once,
 * but for a search's decisions and for extensions: each adds trials and their cohorts behind the
 * others.
 */
export interface Plan {
  /**
   * Raised when plans of earlier versions can no longer run; they are then refused. 3: masks have
   * structures and rules.
   */
  format: 3;
  /** `<name>-<8 hex digits of the trial ids' hash>`: the same sweep always has the same id. */
  sweep_id: string;
  name: string;
  profile: string | null;
  /** Why this profile, for the user; for example "no GPU here". */
  profile_reason: string | null;
  backbone: PlannedBackbone;
  datasets: PlannedDataset[];
  /** What runs, the trials of a search included. */
  trials: Trial[];
  cohorts: Cohort[];
  search?: PlannedSearch;
  /**
   * Points within which its report calls differences equal. Not part of any id: it may be changed
   * after the sweep has run.
   */
  margin?: number;
  /** Part of no id, either: training does not see it. Trials that are done stay as they are. */
  evaluate?: PlannedEvaluation;
  /** What was added after the start, oldest first; the sweep keeps its id. */
  extended?: Extension[];
  /**
   * Digests of the plan files that this one came from, oldest first: each has all of the one
   * before.
   */
  follows?: string[];
}

/** Sizes of an adapter in weights, counted as docs/sizes.md says. */
export interface Budget {
  /** Adapter parameters that exist, zeros included; without the head. */
  trainable: number;
  /** Non-zero trained adapter parameters: kept prunable weights, biases and norms. */
  kept: number;
  /** Parameters of the head, all trained, counted separately. */
  head: number;
  /** Bytes of the stored adapter file, head included. */
  stored_bytes: number;
}

/**
 * What a trial came to, in a file of its own: `trials/<id>/result.json` if it is done, which counts
 * for every sweep, else `sweeps/<id>/outcomes/<trial id>.json`. results.jsonl has one per line,
 * sorted by trial id.
 */
export interface TrialResult {
  trial_id: string;
  task: string;
  backbone: string;
  /** The kind's name or, without one, `<attention>+<feed-forward>`, for example `lora+parallel`. */
  adapter: string;
  /**
   * r of the modules: one number, or [attention, feed-forward] if they differ; 0 without a module.
   */
  bottleneck: number | [number, number];
  pruner: PrunerName;
  sparsity: number;
  /** Absent for float32, as in Trial. */
  precision?: Trial['precision'];
  /** null if the trial failed before it had a mask. */
  achieved_sparsity: number | null;
  seed: number;
  /** stopped: early, as a search's candidate that was behind, or needed no more training. */
  status: 'done' | 'failed' | 'cancelled' | 'stopped';
  /** How far it was trained if it was stopped; its metrics are of this step. */
  stopped_at?: { step: number; total_steps: number };
  /** By name, in [−1, 1] or [0, 1] as the metric is defined; empty unless done or stopped. */
  metrics: Record<string, number>;
  /**
   * By name of each metric that uses the threshold best on its own rows (`best_f1`): that
   * threshold, as a no-answer margin.
   */
  thresholds?: Record<string, number>;
  /** The step that its metrics are of, where a sweep reports the best one (evaluate). */
  best_step?: number;
  /** Of how many evaluations, the last included. */
  best_of?: number;
  budget: Budget;
  /** Speed and time of this trial while it trained in a cohort of `cohort` trials. */
  train: { steps: number; rows_per_s: number; wall_s: number; cohort: number };
  warnings: string[];
  /** Why it failed; null unless failed. */
  error: string | null;
  /** Where its rows came from. */
  data: 'files' | 'hub' | 'demo';
  provenance: Provenance;
}

/** What made a result. */
export interface Provenance {
  /** This project's version. */
  sa_orch: string;
  backbone_digest: string;
  /**
   * What made mask, adapter and predictions, in order; several if the trial was continued in
   * another environment than it began in. Absent in results of earlier versions.
   */
  pruned_by?: TrainerEnvironment[];
  trained_by?: TrainerEnvironment[];
  predicted_by?: TrainerEnvironment[];
}

/** What computes: Environment of event.proto. */
export interface TrainerEnvironment {
  /** Empty: unknown. */
  framework: string;
  framework_version: string;
  /** `cpu` or `cuda`. */
  device: string;
  device_name: string;
  /** null: unknown. */
  precision: PrecisionName | null;
  /** Whatever else affects the last digits of results, by name. */
  details: Record<string, string>;
}
