/**
 * The interface of a task family: tasks whose rows are read, trained on and measured in the same
 * way. A family is a folder next to this file and a line in registry.ts. No other code asks which
 * family a task belongs to.
 */
import type { z } from 'zod';
import type { TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { PublishedTask } from '../datasets/published';
import type { PreparedSplit, RowLimits } from '../datasets/splits';
import type { PlannedDataset, PlannedSplit, TrainConfig, Trial } from '../sweep/types';
import type { Inputs, Submissions } from './inputs';

/**
 * @typeParam Settings the settings of a sweep that only this family uses
 * @typeParam Own a task with the user's own files, complete
 * @typeParam Dataset a planned data set, with the fields that only this family plans
 */
export interface TaskFamily<
  Settings extends object = object,
  Own extends OwnTask = OwnTask,
  Dataset extends PlannedDataset = PlannedDataset,
> {
  /** The kinds of task, by their names in configurations and plans. */
  kinds: Record<Dataset['kind'], Kind>;
  /** What its backbone must be able to write; null if it needs an encoder. */
  writes: string | null;
  /** Maximum tokens per row if the configuration does not set it. */
  defaultMaxLength: number;
  published: readonly PublishedTask[];
  settings: SettingsSchema<Settings>;
  ownTasks: OwnTaskSchema<Own>;
  planning: Planning<Settings, Own, Dataset>;
  files: DatasetFiles<Dataset>;
  evaluation: Evaluation<Dataset>;
  score: ScoreCommand;
  inputs: Inputs<Dataset>;
  /** null if none of its published tasks has a server that takes predictions. */
  submissions: Submissions<Dataset> | null;
  words: FamilyWords;
  /** Number of weights of the head, all trained; 0 if there is no head. */
  countHead(hiddenSize: number, labels: number): number;
}

export interface Kind {
  /** Its value in the contract. */
  proto: TaskKind;
  /** Metrics that the user's own tasks may choose. */
  metrics: readonly string[];
}

/** Keys of a sweep file that only one family uses. */
export interface SettingsSchema<Settings> {
  keys: z.ZodRawShape;
  /** The same under `train`. */
  trainKeys: z.ZodRawShape;
  /** A default for each of `trainKeys`. */
  trainDefaults: Partial<TrainConfig>;
  /** The flags of `sa-orch run` for these keys. */
  runFlags: readonly RunFlag[];
  /** Paths of keys that are refused in a sweep without a task of this family. */
  refusedElsewhere: readonly (readonly string[])[];
  /** Fills in the defaults; `written` has passed the schema. */
  complete(written: Record<string, unknown>): Settings;
  /** Fields that trials of this family have in addition to those of all trials. */
  chooseForTrials(settings: Settings): Pick<Trial, 'generation'>;
  /** A key whose value contradicts another one, and why; null if there is none. */
  findContradiction(settings: Settings): { path: readonly string[]; reason: string } | null;
}

export interface RunFlag {
  /** In commander's form: `--doc-stride <n>`. */
  flags: string;
  description: string;
  /** Whether its value must be a whole number; otherwise any number. */
  isWhole: boolean;
  /** Its place in a sweep file: `['generation', 'beams']`. */
  path: readonly [key: string, inner?: string];
}

/** A task with the user's own files. */
export interface OwnTask {
  kind: string;
  /** Where it is described, for messages: `file:line`. */
  origin: string;
  /** Absolute paths. */
  files: { train: string; validation: string };
  /** In report order, the first is compared; null: the usual ones for what the files contain. */
  metrics: string[] | null;
}

/** Such a task as written in a sweep file: the keys that all families have. */
export interface WrittenOwnTask {
  name: string;
  kind: string;
  train: string;
  validation: string;
  metrics?: string[] | undefined;
}

/** How tasks with the user's own files are described in a sweep file. */
export interface OwnTaskSchema<Own, Written extends WrittenOwnTask = WrittenOwnTask> {
  /** Endings of readable files. */
  formats: readonly string[];
  /** The keys that name columns. */
  columns: z.ZodRawShape;
  /** Refuses keys that do not fit together; the reason says what would be right. */
  check(task: Written, refuse: (key: string, reason: string) => void): void;
  complete(task: Written, place: Pick<OwnTask, 'origin' | 'files'>): Own;
}

/** Where a published task's rows come from. */
export interface TaskSource {
  source: PlannedDataset['source'];
  /** The file of each split by name; null for generated rows. */
  files: Record<string, string | null>;
}

/** What a task's rows determine; the rest of a data set is the same for all tasks of a sweep. */
export type FoundRows<Dataset extends PlannedDataset> = Omit<
  Dataset,
  'digest' | 'tokenizer' | keyof RowLimits | 'max_length'
>;

/** The rows of a task and, with a search, those of its other data set. */
export interface Found<Dataset extends PlannedDataset> {
  rows: FoundRows<Dataset>;
  /** Its held-out rows are the validation rows; null without a search. */
  heldOut: Pick<Dataset, 'splits' | 'metrics'> | null;
}

export interface PlanningContext<Settings> {
  settings: Settings;
  limits: RowLimits;
  /** The fraction of the training rows in use that a search holds out; null without a search. */
  holdOut: number | null;
  max_length: number;
  /** The backbone's directory, for its tokenizer. */
  backbonePath: string;
  /** Called before work that takes a while. */
  onLongWork?: ((text: string) => void) | undefined;
}

/** Makes planned data sets of a task's files. Every file is read to its end. */
export interface Planning<Settings, Own, Dataset extends PlannedDataset> {
  /** @throws ConfigError that names the rows that cannot be used, at most 20 per file */
  planPublished(
    task: string,
    source: TaskSource,
    context: PlanningContext<Settings>,
  ): Promise<Found<Dataset>>;
  /** @throws ConfigError as planPublished, for both files */
  planOwn(name: string, own: Own, context: PlanningContext<Settings>): Promise<Found<Dataset>>;
  /** Why a length in the settings does not fit the backbone's number of positions, or null. */
  findLengthProblem(
    task: string,
    settings: Settings,
    lengths: { max_length: number; positions: number; backbone: string },
  ): string | null;
  /** What determines a data set's content in addition to common fields; part of its digest. */
  identify(dataset: Omit<Dataset, 'digest'>): Record<string, unknown>;
}

/** How the splits of a data set are read and written. */
export interface DatasetFiles<Dataset> {
  /** Opens the tokenizer, once for all splits. */
  openSplits(dataset: Dataset, backbonePath: string): Promise<SplitReader>;
  /** Fields of dataset.json in addition to those of all data sets. */
  describe(dataset: Dataset): Record<string, unknown>;
}

export interface SplitReader {
  /** The digest of the split's source. */
  digest: (split: PlannedSplit) => string;
  /** Reads a split, and returns a function that writes it into a folder. */
  read: (split: PlannedSplit) => Promise<(folder: string) => Promise<PreparedSplit>>;
}

export interface EvaluationRequest<Dataset> {
  root: string;
  dataset: Dataset;
  /** The backbone's directory, for its tokenizer. */
  backbonePath: string;
  /** The path of a split's predictions. */
  findPredictions: (split: string) => string;
}

export interface Metrics {
  /** By name. */
  metrics: Record<string, number>;
  /** `code: message`. */
  warnings: string[];
}

/** The outcome of a trial. */
export interface TrialEvaluation extends Metrics {
  /** By metric, for those with a threshold that is fitted to these very rows: that threshold. */
  thresholds?: Record<string, number>;
  /** JSON files to write next to the predictions, by name. */
  files?: Record<string, Record<string, unknown>>;
  /** The same for files with one JSON value per line. */
  lines?: Record<string, readonly object[]>;
}

/** How often each class was taken for which, on one split. */
export interface Confusion {
  split: string;
  /** Class names in index order. */
  labels: string[];
  /** Rows by true class and, within it, by predicted class. */
  counts: number[][];
  /** Rows of each true class whose prediction is NaN or infinite; absent if there are none. */
  without_prediction?: number[];
}

export interface Evaluation<Dataset> {
  /**
   * @throws ConfigError that names the file if predictions are missing or have a different shape
   *   from the data set
   */
  evaluate(request: EvaluationRequest<Dataset>): TrialEvaluation | Promise<TrialEvaluation>;
  /**
   * Which classes the predictions take for which, by split; empty if the task has no classes.
   *
   * @throws ConfigError as evaluate does
   */
  countConfusions(request: EvaluationRequest<Dataset>): Confusion[];
  /**
   * Metrics of a guess that has learned nothing, from the prepared data set under the root; null if
   * the family has no such guess.
   */
  measureBaseline(root: string, dataset: Dataset): Record<string, number> | null;
}

/** An option of `sa-orch score` that applies only to some published tasks. */
export interface ScoreOption {
  /** In commander's form: `--na-probs <file>`. */
  flags: string;
  description: string;
  /** The key of its value in a request. */
  key: string;
  isGiven(value: unknown): boolean;
  tasks: readonly string[];
  /** What is special about those tasks, for the message that refuses others. */
  reason: string;
}

export interface ScoreRequest {
  task: string;
  /** Files in the formats of the task's official scripts. */
  predictions: string;
  references: string;
  /** The families' options, by key. */
  [option: string]: unknown;
}

export interface Score extends Metrics {
  rows: number;
}

/** The family's part of `sa-orch score`. */
export interface ScoreCommand {
  options: readonly ScoreOption[];
  /** Whose files these are, and a line on the content of each. */
  help: { names: string; lines: readonly string[]; example: string };
  /** @throws ConfigError with the file and the line, place or id of what is wrong */
  run(request: ScoreRequest): Score | Promise<Score>;
}

/** The words that reports and the command line use for the family's data sets and metrics. */
export interface FamilyWords {
  metricTitles: Readonly<Record<string, string>>;
  /** Warnings that mark a trial as degenerate: code and text. */
  degenerate: Readonly<Record<string, string>>;
  /** Why published rows are left out; null if none are. */
  leftOut: string | null;
  /** The unit in which a training split is counted, such as `rows`. */
  nameRows(train: PlannedSplit): string;
}
