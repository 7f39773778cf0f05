import type { TaskKind } from '../../sweep/types';

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
 * One split of a task: its name in data sets, GLUE's own file, and the name that the hub's parquet
 * files begin with.
 */
export interface GlueSplit {
  name: string;
  tsv: string;
  parquet: string;
}

/** What the readers, the metrics and the reports need to know of a task. */
export interface GlueTask {
  name: GlueTaskName;
  kind: TaskKind;
  /** The folder that GLUE's download script makes. */
  folder: string;
  /** Class names in index order, as in the hub's copy; empty for regression. */
  labels: readonly string[];
  /** Column headers of the TSV files: the text or the pair of texts, and the label. */
  text: readonly [string] | readonly [string, string];
  label: string;
  /** Where the file has no header line: its columns, in order. */
  headerless?: readonly string[];
  /**
   * The published files hold a few cut lines, which the hub's copy leaves out; so do we. Elsewhere
   * a cut line is an error.
   */
  skipsCutLines?: true;
  /** Column names of the hub's parquet files; their label column is always `label`. */
  hubText: readonly [string] | readonly [string, string];
  splits: readonly GlueSplit[];
  /** Official metrics in report order; the first decides. */
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

/**
 * The task of that name; throws a RangeError for any other word (configurations are checked
 * before).
 */
export function glueTask(name: string): GlueTask {
  const task = BY_NAME.get(name);
  if (task === undefined) {
    throw new RangeError(`"${name}" is no GLUE task; there are ${GLUE_TASK_NAMES.join(', ')}`);
  }
  return task;
}

/** The number of outputs: classes, or 1 for regression. */
export function numLabels(task: GlueTask): number {
  return task.kind === 'regression' ? 1 : task.labels.length;
}
