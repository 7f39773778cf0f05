/**
 * The tasks that a configuration names and whose files are published: where those are, in a data
 * directory and on the hub.
 */
import { basename } from 'node:path';
import type { TaskKind } from '../sweep/types';
import { GLUE_TASK_NAMES, glueTask } from '../tasks/rows/published';
import { isSquadTask, SQUAD_TASK_NAMES } from '../tasks/questions/published';
import { isSummaryTask, SUMMARY_TASK_NAMES, type SummaryTask } from '../tasks/summaries/published';

export const PUBLISHED_TASK_NAMES = [
  ...GLUE_TASK_NAMES,
  ...SQUAD_TASK_NAMES,
  ...SUMMARY_TASK_NAMES,
] as const;

export type Benchmark = 'GLUE' | 'SQuAD' | 'XSum' | 'CNN/DailyMail';

/** Paths by split. */
type Files = Record<string, string>;

export interface PublishedTask {
  name: string;
  benchmark: Benchmark;
  /**
   * In a data directory, relative to the benchmark's folder; of several by split the first that is
   * there.
   */
  files: Record<string, readonly string[]>;
  /** On the hub, relative to the repository; the first of a file's shards stands for all. */
  hub: { repo: string; files: Files };
}

/**
 * The folder of a data directory that may hold a benchmark's files, and what they are called there.
 */
export const BENCHMARKS: Record<Benchmark, { folder: string; names: string }> = {
  GLUE: { folder: 'glue', names: "GLUE's own folder names are" },
  SQuAD: { folder: 'squad', names: "SQuAD's own file names are" },
  XSum: { folder: 'xsum', names: 'train and validation, each as .csv, .jsonl or .parquet, are' },
  'CNN/DailyMail': {
    folder: 'cnn_dailymail',
    names: 'train and validation, each as .csv, .jsonl or .parquet, are',
  },
};

/** Of which benchmark a task is; the user's own are of none. */
export function benchmarkOf(task: string): Benchmark | null {
  if (isSquadTask(task)) return 'SQuAD';
  if (isSummaryTask(task)) return SUMMARIES[task].benchmark;
  return (GLUE_TASK_NAMES as readonly string[]).includes(task) ? 'GLUE' : null;
}

const SUMMARIES: Record<SummaryTask, Pick<PublishedTask, 'benchmark' | 'hub'>> = {
  xsum: {
    benchmark: 'XSum',
    hub: {
      repo: 'EdinburghNLP/xsum',
      files: {
        train: 'data/train-00000-of-00001.parquet',
        validation: 'data/validation-00000-of-00001.parquet',
      },
    },
  },
  cnn_dailymail: {
    benchmark: 'CNN/DailyMail',
    hub: {
      repo: 'abisee/cnn_dailymail',
      files: {
        train: '3.0.0/train-00000-of-00003.parquet',
        validation: '3.0.0/validation-00000-of-00001.parquet',
      },
    },
  },
};

/** What a split's table may be called, the hub's name for it among them. */
function tablesOf(split: string, { files }: PublishedTask['hub']): string[] {
  return [
    ...['csv', 'jsonl', 'parquet'].map((format) => `${split}.${format}`),
    basename(files[split]!),
  ];
}

/** What is learned from a published task's rows. */
export function publishedKind(name: string): TaskKind {
  if (isSquadTask(name)) return 'question_answering';
  return isSummaryTask(name) ? 'summarization' : glueTask(name).kind;
}

/**
 * The task of that name; throws a RangeError for any other word (configurations are checked
 * before).
 */
export function publishedTask(name: string): PublishedTask {
  if (isSquadTask(name)) {
    const version = name === 'squad' ? 'v1.1' : 'v2.0';
    const folder = name === 'squad' ? 'plain_text' : 'squad_v2';
    return {
      name,
      benchmark: 'SQuAD',
      files: { train: [`train-${version}.json`], validation: [`dev-${version}.json`] },
      hub: {
        repo: `rajpurkar/${name}`,
        files: {
          train: `${folder}/train-00000-of-00001.parquet`,
          validation: `${folder}/validation-00000-of-00001.parquet`,
        },
      },
    };
  }
  if (isSummaryTask(name)) {
    const { benchmark, hub } = SUMMARIES[name];
    return {
      name,
      benchmark,
      files: { train: tablesOf('train', hub), validation: tablesOf('validation', hub) },
      hub,
    };
  }
  const { folder, splits } = glueTask(name);
  return {
    name,
    benchmark: 'GLUE',
    files: Object.fromEntries(splits.map((split) => [split.name, [`${folder}/${split.tsv}`]])),
    hub: {
      repo: 'nyu-mll/glue',
      files: Object.fromEntries(
        splits.map((split) => [split.name, `${name}/${split.parquet}-00000-of-00001.parquet`]),
      ),
    },
  };
}

/** `GLUE`, `SQuAD`, `GLUE or SQuAD`: whose rows demo rows of these tasks are not. */
export function benchmarksOf(tasks: readonly string[]): string {
  return [...new Set(tasks.map(benchmarkOf))]
    .filter((benchmark) => benchmark !== null)
    .join(' or ');
}
