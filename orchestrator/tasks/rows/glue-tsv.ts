import { readFileSync } from 'node:fs';
import { ConfigError, type Problem } from '../../base/errors';
import type { GlueTask } from './published';
import { limitProblems } from '../../tables/problem-list';
import type { Row } from './dataset';

/** A table of texts: the header's names and the lines with their numbers. */
interface TsvTable {
  columns: string[];
  lines: { number: number; cells: string[] }[];
}

/**
 * Reads a GLUE TSV file: tabs between cells, quotes are text, an optional byte-order mark, lines
 * ending in \n or \r\n. The columns are found by their headers, so shortened copies of a file (MNLI
 * in 4 columns instead of 12) are read as well.
 *
 * @throws ConfigError with file and line of every broken line (at most 20)
 */
export function readGlueTsv(path: string, task: GlueTask): Row[] {
  return selectRows(path, readTsv(path, task.headerless), task);
}

/**
 * Reads the cells of a TSV file. `headerless` gives the columns of a file that has no header line.
 */
function readTsv(path: string, headerless?: readonly string[]): TsvTable {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ConfigError({
      where: path,
      message: missing ? 'there is no such file' : `cannot be read (${(error as Error).message})`,
    });
  }
  // Only \n ends a line: texts hold other characters that look like line ends (U+0085, U+2028).
  const lines = content
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line, i) => ({ number: i + 1, cells: line.replace(/\r$/, '').split('\t') }));
  if (lines.at(-1)!.cells.join('') === '') {
    lines.pop();
  }
  const columns = headerless ? [...headerless] : (lines.shift()?.cells ?? []);
  if (lines.length === 0) {
    throw new ConfigError({
      where: path,
      message: 'has no rows; one tab-separated row a line is expected',
    });
  }
  return { columns, lines };
}

/** The task's rows of a table; see readGlueTsv. */
function selectRows(path: string, table: TsvTable, task: GlueTask): Row[] {
  const { columns } = table;
  const missing = task.text.filter((name) => !columns.includes(name));
  if (missing.length > 0) {
    throw new ConfigError({
      where: `${path}:1`,
      message:
        `has no column ${missing.map((name) => `"${name}"`).join(', ')}; ` +
        `its header is ${columns.map((name) => `"${name}"`).join(', ')}`,
    });
  }
  const text = columns.indexOf(task.text[0]);
  const pair = task.text[1] === undefined ? null : columns.indexOf(task.text[1]);
  const label = columns.indexOf(task.label);
  const problems: Problem[] = [];
  const rows: Row[] = [];
  for (const { number, cells } of table.lines) {
    const where = `${path}:${number}`;
    if (task.skipsCutLines && cells.length < columns.length) {
      continue;
    }
    if (cells.length !== columns.length) {
      problems.push({
        where,
        message:
          `has ${cells.length} columns; ` +
          `${columns.length} are expected (${columns.join(', ')})`,
      });
      continue;
    }
    const value = label === -1 ? null : parseLabel(cells[label]!, task);
    if (value === undefined) {
      problems.push({
        where,
        message:
          `"${cells[label]}" is not a ${task.label} of ${task.name}; ` +
          `${nameLabels(task)} expected`,
      });
      continue;
    }
    rows.push({ text: cells[text]!, pair: pair === null ? null : cells[pair]!, label: value });
  }
  if (problems.length > 0) {
    throw new ConfigError(limitProblems(path, problems, 'lines'));
  }
  return rows;
}

/**
 * The class index or score that a cell says: a class's name or its index. undefined where it says
 * neither.
 */
export function parseLabel(cell: string, task: GlueTask): number | undefined {
  if (task.kind === 'regression') {
    const score = cell.trim() === '' ? NaN : Number(cell);
    return Number.isFinite(score) ? score : undefined;
  }
  const named = task.labels.indexOf(cell);
  if (named !== -1) {
    return named;
  }
  const index = /^\d+$/.test(cell) ? Number(cell) : -1;
  return index >= 0 && index < task.labels.length ? index : undefined;
}

/** What parseLabel takes, for messages. */
export function nameLabels(task: GlueTask): string {
  return task.kind === 'regression'
    ? 'a number is'
    : `${task.labels.join(', ')} (or 0 to ${task.labels.length - 1}) are`;
}
