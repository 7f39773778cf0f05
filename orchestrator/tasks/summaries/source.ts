/**
 * Reads the documents and summaries of a split from published tables or the user's own, or
 * generates them.
 */
import type { SplitSource } from '../../datasets/splits';
import { digestValue } from '../../sweep/identity';
import { digestFile } from '../../tables/file-digest';
import { listShards } from '../../tables/shards';
import type { SummaryColumns } from './dataset';
import { makeDemoSummaries } from './demo-summaries';
import { isSummaryTask, type SummaryTask } from './published';
import { readSummaries, type SummaryRows } from './texts';

/**
 * Reads a split to its end. Rows with an empty text are left out and counted if published, and
 * errors in the user's own tables.
 *
 * @throws ConfigError as readSummaries does
 */
export async function readSummarySplit(
  task: string,
  columns: SummaryColumns,
  { name, file }: SplitSource,
): Promise<SummaryRows> {
  if (file === null) return { rows: makeDemoSummaries(task as SummaryTask, name), leftOut: 0 };
  return readSummaries(file, columns, isSummaryTask(task) ? 'leave out' : 'refuse');
}

/** Hex SHA-256 of the source of a split, which covers all parts of a file in parts. */
export function digestSummaries(task: string, { name, file }: SplitSource): string {
  if (file === null) return digestValue(makeDemoSummaries(task as SummaryTask, name));
  const parts = listShards(file);
  return parts.length === 1 ? digestFile(file) : digestValue(parts.map(digestFile));
}
