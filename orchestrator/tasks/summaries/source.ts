/**
 * The documents and summaries of a split, wherever they are: published tables, the user's own, or
 * generated.
 */
import { digestOf } from '../../sweep/identity';
import type { PlannedSplit, SummaryColumns } from '../../sweep/types';
import { demoSummaries } from './demo-summaries';
import { shardsOf } from '../../tables/shards';
import { fileDigest } from '../sources';
import { readSummaries, type SummaryRows } from './texts';
import { isSummaryTask, type SummaryTask } from './published';

type SplitSource = Pick<PlannedSplit, 'name' | 'file'>;

/**
 * Reads a split to its end. Published rows with an empty text are left out and counted; among the
 * user's own they are errors.
 *
 * @throws ConfigError as readSummaries
 */
export async function readSummarySplit(
  task: string,
  columns: SummaryColumns,
  { name, file }: SplitSource,
): Promise<SummaryRows> {
  if (file === null) return { rows: demoSummaries(task as SummaryTask, name), leftOut: 0 };
  return readSummaries(file, columns, isSummaryTask(task) ? 'leave out' : 'refuse');
}

/** Hex SHA-256 of what a split is read from, of a file in parts of all of them. */
export function summariesDigest(task: string, { name, file }: SplitSource): string {
  if (file === null) return digestOf(demoSummaries(task as SummaryTask, name));
  const parts = shardsOf(file);
  return parts.length === 1 ? fileDigest(file) : digestOf(parts.map(fileDigest));
}
