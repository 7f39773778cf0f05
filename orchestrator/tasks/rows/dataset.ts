import type { PlannedDataset } from '../../sweep/types';

export type RowKind = 'classification' | 'regression';

/** The columns of the user's own files that form a row. */
export interface RowColumns {
  /** One column of texts, or two for pairs. */
  text: string[];
  label: string;
}

/** A planned data set of texts or pairs of texts, each with a class or a number. */
export interface RowsDataset extends PlannedDataset {
  kind: RowKind;
  /** For a task with the user's own files; absent for GLUE, whose readers know the columns. */
  columns?: RowColumns;
}

/** A row of a task: a text or a pair of texts, and its label. */
export interface Row {
  text: string;
  /** The second text of a pair. */
  pair: string | null;
  /** A class index, or a number for regression. null if the source has no label. */
  label: number | null;
}
