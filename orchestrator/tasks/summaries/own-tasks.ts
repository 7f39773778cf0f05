/** How a sweep file describes the user's own summarization tasks. */
import type { z } from 'zod';
import { text } from '../../config/schema-parts';
import { TABLE_FORMATS } from '../../tables/table';
import type { OwnTask, OwnTaskSchema, WrittenOwnTask } from '../family';
import type { SummaryColumns } from './dataset';
import { SUMMARY_METRICS } from './published';

/** Documents with their summaries. */
export interface OwnSummaries extends OwnTask {
  kind: 'summarization';
  columns: SummaryColumns;
  /** In report order; the first is compared. */
  metrics: string[];
}

const columns = { document: text, summary: text };
type Written = WrittenOwnTask & z.output<z.ZodObject<typeof columns>>;

export const ownSummaryTasks: OwnTaskSchema<OwnSummaries, Written> = {
  formats: TABLE_FORMATS,
  columns,
  check(task, refuse) {
    if (task.document === task.summary) refuse('summary', 'a different column');
  },
  complete({ document, summary, metrics }, place) {
    return {
      ...place,
      kind: 'summarization',
      columns: { document, summary },
      metrics: metrics ?? [...SUMMARY_METRICS],
    };
  },
};
