/** Rows of XSum (Narayan 2018) and CNN/DailyMail (Hermann 2015, See 2017), under the columns that they are published with. */
import { ConfigError, type Problem } from '../config/errors';
import { limitProblems } from './problem-list';
import { readTable, type TableRow } from './table';

export type SummaryTask = 'xsum' | 'cnn_dailymail';

/** Text and summary. */
export const SUMMARY_COLUMNS: Record<SummaryTask, readonly [document: string, summary: string]> = {
  xsum: ['document', 'summary'],
  cnn_dailymail: ['article', 'highlights'],
};

export interface SummaryRow {
  document: string;
  /** CNN/DailyMail's is a sentence a line. */
  summary: string;
}

export interface SummaryRows {
  rows: SummaryRow[];
  /** At most 20, and a line that counts the others. */
  problems: Problem[];
}

/**
 * Reads a CSV, TSV, JSONL or parquet file, and every problem that its rows have. Rows with a problem are left out: XSum as published
 * has some with an empty document.
 *
 * @throws ConfigError where the file as a whole cannot be read, lacks a column or has no rows
 */
export async function readSummaries(path: string, task: SummaryTask): Promise<SummaryRows> {
  const columns = SUMMARY_COLUMNS[task];
  const rows: SummaryRow[] = [];
  const problems: Problem[] = [];
  for (const row of await readTable(path, columns)) {
    const problem = problemOf(row, columns);
    if (problem !== null) problems.push({ where: row.where, message: problem });
    else rows.push({ document: row.cells[0] as string, summary: row.cells[1] as string });
  }
  return { rows, problems: limitProblems(path, problems, 'rows') };
}

/**
 * Reads one column of texts, all of them.
 *
 * @param mayBeEmpty whether an empty text is one
 * @throws ConfigError with every row that has no text, and as readSummaries
 */
export async function readTexts(path: string, column: string, mayBeEmpty: boolean): Promise<string[]> {
  const rows = await readTable(path, [column]);
  const problems = rows.flatMap((row): Problem[] => {
    const problem = mayBeEmpty && row.cells[0] === '' ? null : problemOf(row, [column]);
    return problem === null ? [] : [{ where: row.where, message: problem }];
  });
  if (problems.length > 0) throw new ConfigError(limitProblems(path, problems, 'rows'));
  return rows.map(({ cells }) => cells[0] as string);
}

/** What is wrong with a row of texts; null where nothing is. */
function problemOf({ cells, problem }: TableRow, columns: readonly string[]): string | null {
  if (problem !== null) return problem;
  const found = columns.flatMap((name, i) => {
    const cell = cells[i];
    if (cell === undefined) return [`has no "${name}"`];
    if (cell !== null && typeof cell !== 'string') return [`"${name}" is a ${kindOf(cell)}; a text is expected`];
    return cell === null || cell.trim() === '' ? [`"${name}" is empty; a text is expected`] : [];
  });
  return found.length > 0 ? found.join(', and ') : null;
}

function kindOf(cell: unknown): string {
  return Array.isArray(cell) ? 'list' : typeof cell;
}
