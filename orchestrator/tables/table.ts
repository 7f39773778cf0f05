import { constants, isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { findOddity } from '../../common/files';
import { ConfigError } from '../base/errors';
import { suggestion } from '../base/suggest';
import { parseCsv, type TextRecord } from './csv';

/** A row of a file, with the requested cells. */
export interface TableRow {
  /** `file:line`, or `file, row n` if the format has no lines. */
  where: string;
  /** In the requested order; null for an empty cell, undefined if a JSON object has no such key. */
  cells: unknown[];
  /** Why the row cannot be read; its cells are then empty. */
  problem: string | null;
}

/** A reader for each file ending. */
const READERS: Record<
  string,
  (path: string, wanted: readonly string[]) => TableRow[] | Promise<TableRow[]>
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
 * @throws ConfigError if the file as a whole cannot be read, lacks a column or has no rows
 */
export async function readTable(path: string, wanted: readonly string[]): Promise<TableRow[]> {
  const read = READERS[extname(path).toLowerCase()];
  if (read === undefined) {
    throw new ConfigError({
      where: path,
      message: `has an unknown format; must end in ${Object.keys(READERS).join(', ')}`,
    });
  }
  const rows = await read(path, wanted);
  if (rows.length === 0) {
    throw new ConfigError({ where: path, message: 'has no rows; must have at least one' });
  }
  return rows;
}

/** RFC 4180, see parseCsv; the first record names the columns. */
function readCsv(path: string, wanted: readonly string[]): TableRow[] {
  return tableOfRecords(path, parseCsv(readText(path)), wanted);
}

/** Tabs between cells, one row per line, quotes are text; the first line names the columns. */
function readTsv(path: string, wanted: readonly string[]): TableRow[] {
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
  wanted: readonly string[],
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
  const twice = wanted.find((name) => columns.indexOf(name) !== columns.lastIndexOf(name));
  if (twice !== undefined) {
    throw new ConfigError({
      where,
      message: `has two columns "${twice}"; column names must differ`,
    });
  }
  const places = wanted.map((name) => columns.indexOf(name));
  return records.map(({ number, cells, problem }): TableRow => {
    const found =
      problem ??
      (cells.length === columns.length
        ? null
        : `has ${cells.length} cells; ${expectedCells(columns)}`);
    return {
      where: `${path}:${number}`,
      cells: found === null ? places.map((place) => cells[place]) : [],
      problem: found,
    };
  });
}

function expectedCells(columns: readonly string[]): string {
  return `${columns.length} are expected, one for each of ${quoteNames(columns)}`;
}

/** One JSON object per line, whose keys are the columns. Empty lines are left out. */
function readJsonLines(path: string, wanted: readonly string[]): TableRow[] {
  const columns = new Set<string>();
  const rows = textLines(path).map(({ number, line }): TableRow => {
    const row = (cells: unknown[], problem: string | null) => ({
      where: `${path}:${number}`,
      cells,
      problem,
    });
    let value: unknown;
    try {
      value = JSON.parse(line);
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
    const cells = wanted.map((name) =>
      Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined,
    );
    return row(cells, null);
  });
  // A column that only some lines lack is a problem of those lines, not of the file.
  if (columns.size > 0) checkColumns(path, [...columns], wanted);
  return rows;
}

async function readParquet(path: string, wanted: readonly string[]): Promise<TableRow[]> {
  const { parquetMetadata, parquetReadObjects, parquetSchema } = await import('hyparquet');
  const content = readBytes(path);
  const file = content.buffer.slice(
    content.byteOffset,
    content.byteOffset + content.byteLength,
  ) as ArrayBuffer;
  let columns: string[];
  let objects: Record<string, unknown>[];
  try {
    columns = parquetSchema(parquetMetadata(file)).children.map(({ element }) => element.name);
    objects = await parquetReadObjects({
      file,
      columns: columns.filter((name) => wanted.includes(name)),
    });
  } catch (error) {
    throw new ConfigError({
      where: path,
      message: `is not a readable parquet file: ${(error as Error).message}`,
    });
  }
  checkColumns(path, columns, wanted);
  return objects.map((object, i) => ({
    where: `${path}, row ${i + 1}`,
    cells: wanted.map((name) => object[name] ?? null),
    problem: null,
  }));
}

function checkColumns(where: string, columns: readonly string[], wanted: readonly string[]): void {
  const missing = wanted.filter((name) => !columns.includes(name));
  if (missing.length > 0) {
    const there = `the columns are ${quoteNames(columns)}`;
    throw new ConfigError(
      missing.map((name) => ({
        where,
        message: `has no column "${name}"; ${there}${suggestion(name, columns)}`,
      })),
    );
  }
}

/** The lines that are not empty. */
function textLines(path: string): { number: number; line: string }[] {
  return readLines(path)
    .map((line, i) => ({ number: i + 1, line }))
    .filter(({ line }) => line.trim() !== '');
}

/**
 * A file's lines. They end only in \n or \r\n, because texts contain other characters that look
 * like line ends (U+0085, U+2028).
 */
export function readLines(path: string): string[] {
  const lines = readText(path).split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => line.replace(/\r$/, ''));
}

/**
 * A file's text without its byte-order mark. Encodings other than UTF-8 are refused, because their
 * letters would be misread.
 */
export function readText(path: string): string {
  const content = readBytes(path);
  if (!isUtf8(content)) {
    let [begin, number] = [0, 1];
    for (
      let end = content.indexOf(10);
      end !== -1 && isUtf8(content.subarray(begin, end));
      end = content.indexOf(10, begin)
    ) {
      [begin, number] = [end + 1, number + 1];
    }
    throw new ConfigError({
      where: `${path}:${number}`,
      message: 'is not UTF-8; save the file as UTF-8',
    });
  }
  return content.toString('utf8').replace(/^\uFEFF/, '');
}

function readBytes(path: string): Buffer {
  try {
    const oddity = findOddity(path);
    if (oddity !== undefined) throw new Error(oddity);
    const { size } = statSync(path);
    // The limit of a JavaScript string; the whole CNN/DailyMail as CSV exceeds it.
    if (size > constants.MAX_STRING_LENGTH) {
      const most = Math.floor(constants.MAX_STRING_LENGTH / 1e6);
      throw new Error(
        `${Math.ceil(size / 1e6)} MB, but a text file may have at most ${most} MB; ` +
          'use a .parquet file instead',
      );
    }
    return readFileSync(path);
  } catch (error) {
    throw new ConfigError({ where: path, message: `cannot be read (${(error as Error).message})` });
  }
}

/** `"subject", "body"`; of more than 20 names, the first ones and the number of the rest. */
export function quoteNames(names: readonly string[]): string {
  const shown = names.slice(0, 20).map((name) => JSON.stringify(name));
  const more = names.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
