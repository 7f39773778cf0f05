/** XSum (Narayan 2018) and CNN/DailyMail (Hermann 2015, See 2017), by their configuration names. */
import { basename } from 'node:path';
import type { PublishedTask } from '../../datasets/published';
import type { SummaryColumns } from './dataset';

const TASKS = [
  {
    name: 'xsum',
    benchmark: 'XSum',
    columns: { document: 'document', summary: 'summary' },
    repo: 'EdinburghNLP/xsum',
    files: {
      train: 'data/train-00000-of-00001.parquet',
      validation: 'data/validation-00000-of-00001.parquet',
    },
  },
  {
    name: 'cnn_dailymail',
    benchmark: 'CNN/DailyMail',
    columns: { document: 'article', summary: 'highlights' },
    repo: 'abisee/cnn_dailymail',
    files: {
      train: '3.0.0/train-00000-of-00003.parquet',
      validation: '3.0.0/validation-00000-of-00001.parquet',
    },
  },
] as const;

export type SummaryTask = (typeof TASKS)[number]['name'];

/** The columns under which they are published. */
export const SUMMARY_COLUMNS = Object.fromEntries(
  TASKS.map(({ name, columns }) => [name, columns]),
) as Record<SummaryTask, SummaryColumns>;

/**
 * Metrics in report order; the first is compared, as in the code published with SparseAdapter.
 */
export const SUMMARY_METRICS = ['rouge2', 'rouge1', 'rougeL', 'rougeLsum'] as const;

export const SUMMARY_TASKS: readonly PublishedTask[] = TASKS.map(
  ({ name, benchmark, repo, files }) => ({
    name,
    kind: 'summarization',
    num_labels: 0,
    benchmark: {
      name: benchmark,
      folder: name,
      names: 'train and validation, each as .csv, .jsonl or .parquet',
      example: 'train.csv',
    },
    files: {
      train: listTables('train', files.train),
      validation: listTables('validation', files.validation),
    },
    hub: { repo, files },
  }),
);

/** The names that a split's table may have, including its name on the hub. */
function listTables(split: string, hubFile: string): string[] {
  return [...['csv', 'jsonl', 'parquet'].map((format) => `${split}.${format}`), basename(hubFile)];
}

export function isSummaryTask(name: string): name is SummaryTask {
  return Object.hasOwn(SUMMARY_COLUMNS, name);
}
