import { ConfigError, type Problem } from '../../base/errors';
import type { GlueTask } from './published';
import { limitProblems } from '../../tables/problem-list';
import { readLines } from '../../tables/text';
import type { Row } from './dataset';

/** A table of strings: the column names of the header, and the numbered lines. */
interface TsvTable {
  columns: string[];
  lines: { number: number; cells: string[] }[];
}

/**
 * Reads a GLUE TSV file: tabs between cells, quotes without meaning, an optional byte-order mark,
 * lines that end in \n or \r\n. Columns are found by their headers, so reduced copies (MNLI with 4
 * columns instead of 12) can be read too.
 *
 * @throws ConfigError with file and line of every broken line (at most 20)
 */
export function readGlueTsv(path: string, task: GlueTask): Row[] {
  return selectRows(path, readTsv(path, task.headerless), task);
}

/**
 * Reads the cells of a TSV file. `headerless` names the columns of a file without a header line.
 */
function readTsv(path: string, headerless?: readonly string[]): TsvTable {
  const lines = readLines(path).map((line, i) => ({ number: i + 1, cells: line.split('\t') }));
  const columns = headerless ? [...headerless] : (lines.shift()?.cells ?? []);
  if (lines.length === 0) {
    throw new ConfigError({
      where: path,
      message: 'has no rows; must have one tab-separated row per line',
    });
  }
  return { columns, lines };
}

/** Makes the task's rows of a table; see readGlueTsv. */
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
        message: `has ${cells.length} columns; must have ${columns.length} (${columns.join(', ')})`,
      });
      continue;
    }
    const value = label === -1 ? null : parseLabel(cells[label]!, task);
    if (value === undefined) {
      problems.push({
        where,
        message:
          `"${cells[label]}" is not a ${task.label} of ${task.name}; ` +
          `must be ${nameLabels(task)}`,
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
 * Reads a class (its name or index) or a score, and returns the class index or the score; undefined
 * if the cell is neither.
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

/** What parseLabel accepts, for messages. */
export function nameLabels(task: GlueTask): string {
  return task.kind === 'regression'
    ? 'a number'
    : `one of ${task.labels.join(', ')} (or 0 to ${task.labels.length - 1})`;
}
