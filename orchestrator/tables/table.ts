import { extname } from 'node:path';
import { ConfigError } from '../base/errors';
import { plural } from '../base/plural';
import { checkColumns, quoteNames } from './columns';
import { parseCsv, type TextRecord } from './csv';
import { parseJson } from './json';
import { NOT_UTF8, readParquetColumns } from './parquet';
import { readLines, readText, refuseLoneReturns } from './text';

/** A row of a file, with the requested cells. */
export interface TableRow {
  /** `file:line`, or `file, row n` if the format has no lines. */
  where: string;
  /**
   * In the requested order; null for an empty cell, undefined if a JSON object has no such key or
   * the file has no such optional column.
   */
  cells: unknown[];
  /** Why the row cannot be read; its cells are then empty. */
  problem: string | null;
}

/** Those that a file must have, and then those that it may have. */
interface Columns {
  wanted: readonly string[];
  optional: readonly string[];
}

/** A reader for each file ending. */
const READERS: Record<
  string,
  (path: string, columns: Columns) => TableRow[] | Promise<TableRow[]>
> = {
  '.csv': readCsv,
  '.tsv': readTsv,
  '.jsonl': readJsonLines,
  '.parquet': readParquet,
};

/** The file endings that readTable supports. */
export const TABLE_FORMATS: readonly string[] = Object.keys(READERS).map((ending) =>
  ending.slice(1),
);

/** Whether readTable supports the file, judged by its ending. */
export function isTable(path: string): boolean {
  return Object.hasOwn(READERS, extname(path).toLowerCase());
}

/**
 * Reads some columns of a CSV, TSV, JSONL or parquet file. A row that cannot be read is returned
 * with its problem.
 *
 * @param optional columns that the file need not have; their cells follow those of `wanted`
 * @throws ConfigError if the file as a whole cannot be read, lacks a column or has no rows
 */
export async function readTable(
  path: string,
  wanted: readonly string[],
  optional: readonly string[] = [],
): Promise<TableRow[]> {
  const read = READERS[extname(path).toLowerCase()];
  if (read === undefined) {
    throw new ConfigError({
      where: path,
      message: `has an unknown format; must end in ${Object.keys(READERS).join(', ')}`,
    });
  }
  const rows = await read(path, { wanted, optional });
  if (rows.length === 0) {
    throw new ConfigError({ where: path, message: 'has no rows; must have at least one' });
  }
  return rows;
}

/** RFC 4180, see parseCsv; the first record names the columns. */
function readCsv(path: string, wanted: Columns): TableRow[] {
  const text = readText(path);
  refuseLoneReturns(path, text);
  return tableOfRecords(path, parseCsv(text), wanted);
}

/** Tabs between cells, one row per line, quotes are text; the first line names the columns. */
function readTsv(path: string, wanted: Columns): TableRow[] {
  const records = textLines(path).map(({ number, line }): TextRecord => ({
    number,
    cells: line.split('\t'),
    problem: null,
  }));
  return tableOfRecords(path, records, wanted);
}

function tableOfRecords(
  path: string,
  [header, ...records]: TextRecord[],
  { wanted, optional }: Columns,
): TableRow[] {
  if (header === undefined) {
    throw new ConfigError({
      where: path,
      message: 'is empty; must have a line of column names and then one row per line',
    });
  }
  const { cells: columns } = header;
  const where = `${path}:${header.number}`;
  if (header.problem !== null) {
    throw new ConfigError({ where, message: header.problem });
  }
  checkColumns(where, columns, wanted);
  const places = [...wanted, ...optional].map((name) => columns.indexOf(name));
  return records.map(({ number, cells, problem }): TableRow => {
    const found =
      problem ??
      (cells.length === columns.length
        ? null
        : `has ${plural(cells.length, 'cell')}; ${expectedCells(columns)}`);
    return {
      where: `${path}:${number}`,
      cells: found === null ? places.map((place) => cells[place]) : [],
      problem: found,
    };
  });
}

function expectedCells(columns: readonly string[]): string {
  const names = quoteNames(columns);
  return columns.length === 1
    ? `1 is expected, for ${names}`
    : `${columns.length} are expected, one for each of ${names}`;
}

/**
 * One JSON object per line, whose keys are the columns; numbers as parseJson has them. Empty lines
 * are left out.
 */
function readJsonLines(path: string, { wanted, optional }: Columns): TableRow[] {
  const columns = new Set<string>();
  const lines = textLines(path);
  const [first] = lines;
  if (first !== undefined && /^\s*\[\s*(\{|$)/.test(first.line)) {
    const message = 'begins a JSON list; must be one object per line, with no list around them';
    throw new ConfigError({ where: `${path}:${first.number}`, message });
  }
  const rows = lines.map(({ number, line }): TableRow => {
    const row = (cells: unknown[], problem: string | null) => ({
      where: `${path}:${number}`,
      cells,
      problem,
    });
    let value: unknown;
    try {
      value = parseJson(line);
    } catch (error) {
      return row(
        [],
        `is not valid JSON (${(error as Error).message}); must be one object per line`,
      );
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return row([], `is not a JSON object; must be one with ${quoteNames(wanted)}`);
    }
    for (const key of Object.keys(value)) columns.add(key);
    const cells = [...wanted, ...optional].map((name) =>
      Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined,
    );
    return row(cells, null);
  });
  // A column that only some lines lack is a problem of those lines, not of the file.
  if (columns.size > 0) checkColumns(path, [...columns], wanted);
  return rows;
}

async function readParquet(path: string, { wanted, optional }: Columns): Promise<TableRow[]> {
  const columns = await readParquetColumns(path, wanted, { optional });
  return (columns[0] ?? []).map((_, i) => {
    const cells = columns.map((values) => values[i]);
    const place = cells.indexOf(NOT_UTF8);
    return {
      where: `${path}, row ${i + 1}`,
      cells: place === -1 ? cells : [],
      problem:
        place === -1
          ? null
          : `"${[...wanted, ...optional][place]}" is not UTF-8; must be text in UTF-8`,
    };
  });
}

/** The lines that are not empty. */
function textLines(path: string): { number: number; line: string }[] {
  return readLines(path)
    .map((line, i) => ({ number: i + 1, line }))
    .filter(({ line }) => line.trim() !== '');
}
