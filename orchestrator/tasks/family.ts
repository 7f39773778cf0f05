/**
 * What this project asks of a task family: tasks whose rows are read, trained on and measured
 * alike. A family is a folder beside this file and a line in registry.ts; nothing outside the two
 * asks which family a task is of.
 */
import type { z } from 'zod';
import type { TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { PublishedTask } from '../datasets/published';
import type { PreparedSplit, RowLimits } from '../datasets/splits';
import type { PlannedDataset, PlannedSplit, TrainConfig, Trial } from '../sweep/types';

/**
 * @typeParam Settings what a sweep's configuration has for this family alone
 * @typeParam Own a task with the user's own files, complete
 * @typeParam Dataset a planned data set, with what this family alone plans
 */
export interface TaskFamily<
  Settings extends object = object,
  Own extends OwnTask = OwnTask,
  Dataset extends PlannedDataset = PlannedDataset,
> {
  /** What may be learned, by the words of configurations and plans. */
  kinds: Record<Dataset['kind'], Kind>;
  /** What its backbone must be able to write; null where it needs an encoder. */
  writes: string | null;
  /** Tokens of a row, at most, where a configuration does not say it. */
  defaultMaxLength: number;
  published: readonly PublishedTask[];
  settings: SettingsSchema<Settings>;
  ownTasks: OwnTaskSchema<Own>;
  planning: Planning<Settings, Own, Dataset>;
  files: DatasetFiles<Dataset>;
  evaluation: Evaluation<Dataset>;
  score: ScoreCommand;
  words: FamilyWords;
  /** Weights of the head, all trained; 0 where there is none. */
  countHead(hiddenSize: number, labels: number): number;
}

export interface Kind {
  /** The contract's word for it. */
  proto: TaskKind;
  /** What a task of the user's own may be measured by. */
  metrics: readonly string[];
}

/** Keys of a sweep file that mean something to one family alone. */
export interface SettingsSchema<Settings> {
  keys: z.ZodRawShape;
  /** Likewise under `train`, each with the value that it has where it is not written. */
  trainKeys: z.ZodRawShape;
  trainDefaults: Partial<TrainConfig>;
  /** The flags of `sa-orch run` for these keys. */
  runFlags: readonly RunFlag[];
  /** Paths of those that are refused in a sweep without a task of this family. */
  refusedElsewhere: readonly (readonly string[])[];
  /** Fills in the defaults; `written` has passed the schema. */
  complete(written: Record<string, unknown>): Settings;
  /** What the family's trials have besides those of others. */
  chooseForTrials(settings: Settings): Pick<Trial, 'generation'>;
  /** A key whose value contradicts another one, and why; null where none does. */
  findContradiction(settings: Settings): { path: readonly string[]; reason: string } | null;
}

export interface RunFlag {
  /** As commander takes it: `--doc-stride <n>`. */
  flags: string;
  description: string;
  /** Whether its value is a whole number; else any number. */
  isWhole: boolean;
  /** Where a sweep file has it: `['generation', 'beams']`. */
  path: readonly [key: string, inner?: string];
}

/** A task with the user's own files. */
export interface OwnTask {
  kind: string;
  /** Where it is described, for messages: `file:line`. */
  origin: string;
  /** Absolute paths. */
  files: { train: string; validation: string };
  /** In report order, the first decides; null: what is usual for what the files hold. */
  metrics: string[] | null;
}

/** Such a task as it is written, by the keys that all families have. */
export interface WrittenOwnTask {
  name: string;
  kind: string;
  train: string;
  validation: string;
  metrics?: string[] | undefined;
}

/** How tasks with the user's own files are described in a sweep file. */
export interface OwnTaskSchema<Own, Written extends WrittenOwnTask = WrittenOwnTask> {
  /** Endings of the files that can be read. */
  formats: readonly string[];
  /** The keys that name columns. */
  columns: z.ZodRawShape;
  /** Refuses what no single key is wrong with; a reason is what would be right. */
  check(task: Written, refuse: (key: string, reason: string) => void): void;
  complete(task: Written, place: Pick<OwnTask, 'origin' | 'files'>): Own;
}

/** Where a published task's rows come from. */
export interface TaskSource {
  source: PlannedDataset['source'];
  /** The file of each split by name; null for generated rows. */
  files: Record<string, string | null>;
}

/** What a task's rows say of its data set; the rest is the same for all tasks of a sweep. */
export type FoundRows<Dataset extends PlannedDataset> = Omit<
  Dataset,
  'digest' | 'tokenizer' | keyof RowLimits | 'max_length'
>;

export interface PlanningContext<Settings> {
  settings: Settings;
  limits: RowLimits;
  max_length: number;
  /** The backbone's directory, for its tokenizer. */
  backbonePath: string;
  /** Told before work that takes a while. */
  onLongWork?: ((text: string) => void) | undefined;
}

/** From a task's files to its planned data set. Every file is read to its end. */
export interface Planning<Settings, Own, Dataset extends PlannedDataset> {
  /** @throws ConfigError that names every row that cannot be used, at most 20 a file */
  planPublished(
    task: string,
    source: TaskSource,
    context: PlanningContext<Settings>,
  ): Promise<FoundRows<Dataset>>;
  /** @throws ConfigError likewise, of both files */
  planOwn(name: string, own: Own, context: PlanningContext<Settings>): Promise<FoundRows<Dataset>>;
  /** Why a length of the settings is not for a backbone of so many positions, or null. */
  findLengthProblem(
    task: string,
    settings: Settings,
    lengths: { max_length: number; positions: number; backbone: string },
  ): string | null;
  /** What of a data set decides its content besides what all have; part of its digest. */
  identify(dataset: Omit<Dataset, 'digest'>): Record<string, unknown>;
}

/** How the splits of a data set are read and written. */
export interface DatasetFiles<Dataset> {
  /** Opens the tokenizer, once for all splits. */
  openSplits(dataset: Dataset, backbonePath: string): SplitReader;
  /** What dataset.json says besides what all data sets have. */
  describe(dataset: Dataset): Record<string, unknown>;
}

export interface SplitReader {
  /** Of what the split is read from. */
  digest: (split: PlannedSplit) => string;
  /** Reads a split, and returns what writes it into a folder. */
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

/** What a trial came to. */
export interface TrialEvaluation extends Metrics {
  /** Of metrics that take the best threshold of these very rows, by name: that threshold. */
  thresholds?: Record<string, number>;
  /** JSON files to be written beside the predictions, by name. */
  files?: Record<string, Record<string, unknown>>;
  /** Files of a JSON value a line, likewise. */
  lines?: Record<string, readonly object[]>;
}

export interface Evaluation<Dataset> {
  /**
   * @throws ConfigError that names the file where predictions are missing or of another shape than
   *   the data set
   */
  evaluate(request: EvaluationRequest<Dataset>): TrialEvaluation;
  /**
   * Metrics of a guess that has learned nothing, from the prepared data set under the root; null
   * where there is none.
   */
  measureBaseline(root: string, dataset: Dataset): Record<string, number> | null;
}

/** An option of `sa-orch score` that belongs to some published tasks. */
export interface ScoreOption {
  /** As commander takes it: `--na-probs <file>`. */
  flags: string;
  description: string;
  /** The key of its value in a request. */
  key: string;
  isGiven(value: unknown): boolean;
  tasks: readonly string[];
  /** What is special about those tasks, for the refusal of others. */
  reason: string;
}

export interface ScoreRequest {
  task: string;
  /** Files as the task's official scripts take them. */
  predictions: string;
  references: string;
  /** Options of the families, by their keys. */
  [option: string]: unknown;
}

export interface Score extends Metrics {
  rows: number;
}

/** The family's part of `sa-orch score`. */
export interface ScoreCommand {
  options: readonly ScoreOption[];
  /** Whose files, and what is in them, a line each. */
  help: { names: string; lines: readonly string[]; example: string };
  /** @throws ConfigError with file and line, place or id of what is wrong */
  run(request: ScoreRequest): Score | Promise<Score>;
}

/** What reports and the command line say of the family's data sets and metrics. */
export interface FamilyWords {
  metricTitles: Readonly<Record<string, string>>;
  /** Warnings that mark a trial as degenerate, by code, with what a reader is told. */
  degenerate: Readonly<Record<string, string>>;
  /** What is wrong with published rows that are left out. */
  leftOut: string | null;
  /** `rows`; what a data set's training split has so many of. */
  nameRows(train: PlannedSplit): string;
}
