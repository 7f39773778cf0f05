/** Rows of summarization, from tables: a document and its summary each. */
import { ConfigError, type Problem } from '../../base/errors';
import type { SummaryColumns } from '../../sweep/types';
import { limitProblems } from '../../tables/problem-list';
import { shardsOf } from '../../tables/shards';
import { readTable, type TableRow } from '../../tables/table';

export interface SummaryRow {
  /** The row's number in its source, from 1. */
  row: number;
  document: string;
  /** CNN/DailyMail's is a sentence a line. */
  summary: string;
}

export interface SummaryRows {
  rows: SummaryRow[];
  /** How many rows are left out, since a text of theirs is empty. */
  leftOut: number;
}

/** What is done with a row whose document or summary is empty: XSum as published has some. */
export type EmptyTexts = 'leave out' | 'refuse';

/**
 * Reads a CSV, TSV, JSONL or parquet file, of the latter all shards.
 *
 * @throws ConfigError with every row that cannot be used, at most 20, and where the file as a whole
 *   cannot be read, lacks a column
 * or has no
 *   row that can be used
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
  for (const part of shardsOf(path)) {
    for (const row of await readTable(part, columns)) {
      read++;
      const problem = problemOf(row, columns);
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
      message: `has no row with a text in "${document}" and in "${summary}"`,
    });
  return { rows, leftOut: read - rows.length };
}

/**
 * Reads one column of texts, all of them.
 *
 * @param mayBeEmpty whether an empty text is one
 * @throws ConfigError with every row that has no text, and as readSummaries
 */
export async function readTexts(
  path: string,
  column: string,
  mayBeEmpty: boolean,
): Promise<string[]> {
  const rows = await readTable(path, [column]);
  const problems = rows.flatMap((row): Problem[] => {
    const problem = mayBeEmpty && row.cells[0] === '' ? null : problemOf(row, [column]);
    return problem === null ? [] : [{ where: row.where, message: problem.message }];
  });
  if (problems.length > 0) throw new ConfigError(limitProblems(path, problems, 'rows'));
  return rows.map(({ cells }) => cells[0] as string);
}

/**
 * What is wrong with a row of texts, and whether it is only that one is empty; null where nothing
 * is.
 */
function problemOf(
  { cells, problem }: TableRow,
  columns: readonly string[],
): { message: string; isEmptiness: boolean } | null {
  if (problem !== null) return { message: problem, isEmptiness: false };
  let isEmptiness = true;
  const found = columns.flatMap((name, i) => {
    const cell = cells[i];
    if (cell === null || (typeof cell === 'string' && cell.trim() === ''))
      return [`"${name}" is empty; a text is expected`];
    if (typeof cell === 'string') return [];
    isEmptiness = false;
    return cell === undefined
      ? [`has no "${name}"`]
      : [`"${name}" is a ${kindOf(cell)}; a text is expected`];
  });
  return found.length > 0 ? { message: found.join(', and '), isEmptiness } : null;
}

function kindOf(cell: unknown): string {
  return Array.isArray(cell) ? 'list' : typeof cell;
}
