/** How a sweep file describes the user's own classification and regression tasks. */
import type { z } from 'zod';
import { list, text } from '../../config/schema-parts';
import { TABLE_FORMATS } from '../../tables/table';
import type { OwnTask, OwnTaskSchema, WrittenOwnTask } from '../family';
import type { RowColumns, RowKind } from './dataset';

/** Texts or pairs of texts with a class or a number. */
export interface OwnRows extends OwnTask, RowColumns {
  kind: RowKind;
  /** In report order; the first is compared. */
  metrics: string[];
}

/** The metrics of a task that names none. */
const DEFAULT_METRICS: Record<RowKind, readonly string[]> = {
  classification: ['accuracy'],
  regression: ['pearson', 'spearman'],
};

const columns = {
  text: list(text).refine((names) => names.length <= 2 && new Set(names).size === names.length, {
    error: 'the name of a column, or a list of two different ones',
  }),
  label: text,
};
type Written = WrittenOwnTask & { kind: RowKind } & z.output<z.ZodObject<typeof columns>>;

export const ownRowTasks: OwnTaskSchema<OwnRows, Written> = {
  formats: TABLE_FORMATS,
  columns,
  check(task, refuse) {
    if (task.text.includes(task.label)) refuse('label', 'a column that is not among text');
  },
  complete({ kind, text, label, metrics }, place) {
    return { ...place, kind, text, label, metrics: metrics ?? [...DEFAULT_METRICS[kind]] };
  },
};
