import type { SummaryColumns } from '../../sweep/types';

/**
 * XSum (Narayan 2018) and CNN/DailyMail (Hermann 2015, See 2017), by the names that configurations
 * use.
 */
export const SUMMARY_TASK_NAMES = ['xsum', 'cnn_dailymail'] as const;
export type SummaryTask = (typeof SUMMARY_TASK_NAMES)[number];

/** The columns that they are published with. */
export const SUMMARY_COLUMNS: Record<SummaryTask, SummaryColumns> = {
  xsum: { document: 'document', summary: 'summary' },
  cnn_dailymail: { document: 'article', summary: 'highlights' },
};

/**
 * Metrics of summaries in report order; the first decides, as in the code published with
 * SparseAdapter.
 */
export const SUMMARY_METRICS = ['rouge2', 'rouge1', 'rougeL', 'rougeLsum'] as const;

export function isSummaryTask(name: string): name is SummaryTask {
  return (SUMMARY_TASK_NAMES as readonly string[]).includes(name);
}
