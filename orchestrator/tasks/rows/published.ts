import type { Benchmark, PublishedTask } from '../../datasets/published';
import type { RowKind } from './dataset';

/** The nine GLUE tasks (Wang et al. 2019), by the names that configurations use. */
export const GLUE_TASK_NAMES = [
  'cola',
  'sst2',
  'mrpc',
  'qqp',
  'stsb',
  'mnli',
  'qnli',
  'rte',
  'wnli',
] as const;
export type GlueTaskName = (typeof GLUE_TASK_NAMES)[number];

/**
 * A split of a task: its name in data sets, GLUE's own file, and the start of the names of the
 * hub's parquet files.
 */
export interface GlueSplit {
  name: string;
  tsv: string;
  parquet: string;
}

/** What readers, metrics and reports need to know about a task. */
export interface GlueTask {
  name: GlueTaskName;
  kind: RowKind;
  /** The folder that GLUE's download script creates. */
  folder: string;
  /** Class names in index order, as in the hub's copy; empty for regression. */
  labels: readonly string[];
  /** Column headers of the TSV files: the text or the pair of texts, and the label. */
  text: readonly [string] | readonly [string, string];
  label: string;
  /** If the file has no header line: its columns, in order. */
  headerless?: readonly string[];
  /**
   * Set if the published files contain a few truncated lines, which are skipped as in the hub's
   * copy. For other tasks a truncated line is an error.
   */
  skipsCutLines?: true;
  /** Column names of the hub's parquet files; their label column is always `label`. */
  hubText: readonly [string] | readonly [string, string];
  splits: readonly GlueSplit[];
  /** Official metrics in report order; the first is compared. */
  metrics: readonly string[];
}

const TRAIN: GlueSplit = { name: 'train', tsv: 'train.tsv', parquet: 'train' };
const VALIDATION: GlueSplit = { name: 'validation', tsv: 'dev.tsv', parquet: 'validation' };
const SPLITS = [TRAIN, VALIDATION];
const SENTENCES = ['sentence1', 'sentence2'] as const;

const TASKS: readonly GlueTask[] = [
  {
    name: 'cola',
    kind: 'classification',
    folder: 'CoLA',
    labels: ['unacceptable', 'acceptable'],
    text: ['sentence'],
    label: 'label',
    headerless: ['source', 'label', 'author mark', 'sentence'],
    hubText: ['sentence'],
    splits: SPLITS,
    metrics: ['matthews'],
  },
  {
    name: 'sst2',
    kind: 'classification',
    folder: 'SST-2',
    labels: ['negative', 'positive'],
    text: ['sentence'],
    label: 'label',
    hubText: ['sentence'],
    splits: SPLITS,
    metrics: ['accuracy'],
  },
  {
    name: 'mrpc',
    kind: 'classification',
    folder: 'MRPC',
    labels: ['not_equivalent', 'equivalent'],
    text: ['#1 String', '#2 String'],
    label: 'Quality',
    hubText: SENTENCES,
    splits: SPLITS,
    metrics: ['accuracy', 'f1'],
  },
  {
    name: 'qqp',
    kind: 'classification',
    folder: 'QQP',
    labels: ['not_duplicate', 'duplicate'],
    text: ['question1', 'question2'],
    label: 'is_duplicate',
    skipsCutLines: true,
    hubText: ['question1', 'question2'],
    splits: SPLITS,
    metrics: ['accuracy', 'f1'],
  },
  {
    name: 'stsb',
    kind: 'regression',
    folder: 'STS-B',
    labels: [],
    text: SENTENCES,
    label: 'score',
    hubText: SENTENCES,
    splits: SPLITS,
    metrics: ['pearson', 'spearman'],
  },
  {
    name: 'mnli',
    kind: 'classification',
    folder: 'MNLI',
    labels: ['entailment', 'neutral', 'contradiction'],
    text: SENTENCES,
    label: 'gold_label',
    hubText: ['premise', 'hypothesis'],
    splits: [
      TRAIN,
      { name: 'validation', tsv: 'dev_matched.tsv', parquet: 'validation_matched' },
      {
        name: 'validation_mismatched',
        tsv: 'dev_mismatched.tsv',
        parquet: 'validation_mismatched',
      },
    ],
    metrics: ['accuracy', 'accuracy_mismatched'],
  },
  {
    name: 'qnli',
    kind: 'classification',
    folder: 'QNLI',
    labels: ['entailment', 'not_entailment'],
    text: ['question', 'sentence'],
    label: 'label',
    hubText: ['question', 'sentence'],
    splits: SPLITS,
    metrics: ['accuracy'],
  },
  {
    name: 'rte',
    kind: 'classification',
    folder: 'RTE',
    labels: ['entailment', 'not_entailment'],
    text: SENTENCES,
    label: 'label',
    hubText: SENTENCES,
    splits: SPLITS,
    metrics: ['accuracy'],
  },
  {
    name: 'wnli',
    kind: 'classification',
    folder: 'WNLI',
    labels: ['not_entailment', 'entailment'],
    text: SENTENCES,
    label: 'label',
    hubText: SENTENCES,
    splits: SPLITS,
    metrics: ['accuracy'],
  },
];

const BY_NAME = new Map<string, GlueTask>(TASKS.map((task) => [task.name, task]));

/** The task of that name; throws a RangeError if there is none. */
export function findGlueTask(name: string): GlueTask {
  const task = BY_NAME.get(name);
  if (task === undefined) {
    throw new RangeError(
      `"${name}" is not a GLUE task; must be one of ${GLUE_TASK_NAMES.join(', ')}`,
    );
  }
  return task;
}

/** The number of outputs: classes, or 1 for regression. */
export function countOutputs({ kind, labels }: Pick<GlueTask, 'kind' | 'labels'>): number {
  return kind === 'regression' ? 1 : labels.length;
}

const BENCHMARK: Benchmark = {
  name: 'GLUE',
  folder: 'glue',
  names: "GLUE's own folders",
  example: 'MRPC/',
};

/** The tasks of GLUE and their files. */
export const GLUE: readonly PublishedTask[] = TASKS.map((task) => ({
  name: task.name,
  kind: task.kind,
  num_labels: countOutputs(task),
  benchmark: BENCHMARK,
  files: Object.fromEntries(
    task.splits.map((split) => [split.name, [`${task.folder}/${split.tsv}`]]),
  ),
  hub: {
    repo: 'nyu-mll/glue',
    files: Object.fromEntries(
      task.splits.map((split) => [
        split.name,
        `${task.name}/${split.parquet}-00000-of-00001.parquet`,
      ]),
    ),
  },
}));
