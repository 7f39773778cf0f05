import type { PlannedDataset } from '../../sweep/types';

/** The columns of a table that form a row of summarization. */
export interface SummaryColumns {
  document: string;
  summary: string;
}

/** How documents and summaries are read and truncated. */
export interface PlannedSummaries {
  columns: SummaryColumns;
  /** Maximum tokens per target summary, including special tokens. */
  max_target_length: number;
}

/** A planned data set of documents with their summaries. */
export interface SummaryDataset extends PlannedDataset {
  kind: 'summarization';
  summaries: PlannedSummaries;
}
