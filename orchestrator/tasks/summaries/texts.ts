/** Reads rows of summarization, each a document and its summary, from tables. */
import { ConfigError, type Problem } from '../../base/errors';
import { limitProblems } from '../../tables/problem-list';
import { listShards } from '../../tables/shards';
import { readTable, type TableRow } from '../../tables/table';
import type { SummaryColumns } from './dataset';

export interface SummaryRow {
  /** The row's number in its source, from 1. */
  row: number;
  document: string;
  /** In CNN/DailyMail, one sentence per line. */
  summary: string;
}

/** Which rows must not be trained on and measured by at once. */
export const groupByDocument = ({ document }: SummaryRow): string => document.trim();

export interface SummaryRows {
  rows: SummaryRow[];
  /** The number of rows that are left out because a text is empty. */
  leftOut: number;
}

/** What to do with rows whose document or summary is empty; XSum as published has some. */
export type EmptyTexts = 'leave out' | 'refuse';

/**
 * Reads a CSV, TSV or JSONL file, or all shards of a parquet file.
 *
 * @throws ConfigError with every row that cannot be used, at most 20, or if the file as a whole
 *   cannot be read, lacks a column or has no usable row
 */
export async function readSummaries(
  path: string,
  { document, summary }: SummaryColumns,
  empty: EmptyTexts,
): Promise<SummaryRows> {
  const columns = [document, summary];
  const rows: SummaryRow[] = [];
  const problems: Problem[] = [];
  let read = 0;
  for (const part of listShards(path)) {
    for (const row of await readTable(part, columns)) {
      read++;
      const problem = findProblem(row, columns);
      if (problem === null)
        rows.push({ row: read, document: row.cells[0] as string, summary: row.cells[1] as string });
      else if (empty === 'refuse' || !problem.isEmptiness)
        problems.push({ where: row.where, message: problem.message });
    }
  }
  if (problems.length > 0) throw new ConfigError(limitProblems(path, problems, 'rows'));
  if (rows.length === 0)
    throw new ConfigError({
      where: path,
      message: `has no row with text in both "${document}" and "${summary}"`,
    });
  return { rows, leftOut: read - rows.length };
}

/**
 * Reads all texts of one column.
 *
 * @param mayBeEmpty whether a text may be empty
 * @throws ConfigError with every row that has no text, and as readSummaries does
 */
export async function readTexts(
  path: string,
  column: string,
  mayBeEmpty: boolean,
): Promise<string[]> {
  const rows = await readTable(path, [column]);
  const problems = rows.flatMap((row): Problem[] => {
    const problem = mayBeEmpty && row.cells[0] === '' ? null : findProblem(row, [column]);
    return problem === null ? [] : [{ where: row.where, message: problem.message }];
  });
  if (problems.length > 0) throw new ConfigError(limitProblems(path, problems, 'rows'));
  return rows.map(({ cells }) => cells[0] as string);
}

/**
 * What is wrong with a row of texts, and whether empty texts are the only problem; null if nothing
 * is wrong.
 */
function findProblem(
  { cells, problem }: TableRow,
  columns: readonly string[],
): { message: string; isEmptiness: boolean } | null {
  if (problem !== null) return { message: problem, isEmptiness: false };
  let isEmptiness = true;
  const found = columns.flatMap((name, i) => {
    const cell = cells[i];
    if (cell === null || (typeof cell === 'string' && cell.trim() === ''))
      return [`"${name}" is empty; must be text`];
    if (typeof cell === 'string') return [];
    isEmptiness = false;
    return cell === undefined
      ? [`has no "${name}"`]
      : [`"${name}" is a ${describeType(cell)}; must be text`];
  });
  return found.length > 0 ? { message: found.join(', and '), isEmptiness } : null;
}

function describeType(cell: unknown): string {
  return Array.isArray(cell) ? 'list' : typeof cell;
}
