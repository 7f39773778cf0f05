import type { PlannedDataset } from '../../sweep/types';

/** The columns of a table that make a row of summarization. */
export interface SummaryColumns {
  document: string;
  summary: string;
}

/** How documents and summaries are read and cut. */
export interface PlannedSummaries {
  columns: SummaryColumns;
  /** Tokens of a summary to learn from at most, special tokens included. */
  max_target_length: number;
}

/** A planned data set of documents with their summaries. */
export interface SummaryDataset extends PlannedDataset {
  kind: 'summarization';
  summaries: PlannedSummaries;
}
