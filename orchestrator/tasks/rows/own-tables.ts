/** Reads the rows of a task with the user's own files. */
import type { Problem } from '../../base/errors';
import { suggestion } from '../../base/suggest';
import { findLookAlikes } from '../../sweep/look-alikes';
import { limitProblems, MAX_PROBLEMS } from '../../tables/problem-list';
import type { Row, RowColumns, RowKind } from './dataset';
import { quoteNames } from '../../tables/columns';
import { readTable, type TableRow } from '../../tables/table';
import { readTexts } from './cells';

/** How a file's cells are read as rows. */
export interface RowRules {
  kind: RowKind;
  columns: RowColumns;
}

export interface OwnRows {
  rows: Row[];
  /** Class names in index order: the known ones, else the file's own; empty for regression. */
  labels: string[];
  /** At most 20, and one that counts the rest. */
  problems: Problem[];
}

/**
 * Reads a file's rows and finds their problems. Rows with a problem are left out.
 *
 * @param known class names in index order, any other is a problem; null takes those of the file,
 *   sorted (numbers as numbers)
 * @throws ConfigError if the file as a whole cannot be read, lacks a column or has no rows
 */
export async function readOwnRows(
  path: string,
  { kind, columns }: RowRules,
  known: readonly string[] | null,
): Promise<OwnRows> {
  const wanted = [...columns.text, columns.label];
  const read = (await readTable(path, wanted)).map((row) => readCells(row, wanted));
  const labels =
    kind === 'regression'
      ? []
      : (known ?? classNames(read.filter(({ problem }) => problem === null)));
  const indices = new Map(labels.map((name, index) => [name, index]));
  const problems: Problem[] = [];
  const rows: Row[] = [];
  // In a large file every row may be wrong, and to find what was meant takes a while.
  const isListed = () => problems.length < MAX_PROBLEMS;
  for (const { where, texts, label: written, problem } of read) {
    const label = kind === 'regression' ? decimal(written) : indices.get(written);
    if (problem !== null) {
      problems.push({ where, message: problem });
    } else if (label === undefined) {
      problems.push({
        where,
        message:
          `"${columns.label}" is ` +
          JSON.stringify(written) +
          (isListed() ? notALabel(kind, written, labels) : ''),
      });
    } else {
      rows.push({ text: texts[0]!, pair: texts[1] ?? null, label });
    }
  }
  return { rows, labels: [...labels], problems: limitProblems(path, problems, 'rows') };
}

interface ReadRow {
  where: string;
  texts: string[];
  /** Without surrounding white space. */
  label: string;
  problem: string | null;
}

/** `wanted` names the columns of the row's cells: those of texts, then that of the label. */
function readCells({ where, cells, problem }: TableRow, wanted: readonly string[]): ReadRow {
  if (problem !== null) return { where, texts: [], label: '', problem };
  const last = wanted.length - 1;
  const read = readTexts(cells, wanted, (column) => (column === last ? 'a label' : 'text'));
  const label = read.texts.pop()!.trim();
  return { where, texts: read.texts, label, problem: read.problem };
}

/** Reads plain and scientific decimals; undefined for anything else, or if beyond float32. */
function decimal(text: string): number | undefined {
  const value = NUMBER.test(text) ? Number(text) : NaN;
  return Number.isFinite(Math.fround(value)) ? value : undefined;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The distinct labels, sorted by value if all are numbers, else by character code. */
function classNames(rows: readonly ReadRow[]): string[] {
  const names = [...new Set(rows.map(({ label }) => label))].sort();
  return names.every((name) => NUMBER.test(name))
    ? names.sort((a, b) => Number(a) - Number(b))
    : names;
}

/** Of more classes, which may be texts, none is looked for that is spelt like a wrong one. */
const MAX_SUGGESTED = 1000;

/** The end of a message that begins with a wrong label. */
function notALabel(kind: RowKind, label: string, known: readonly string[]): string {
  if (kind === 'regression') return '; must be a number, for example 3.5';
  const alike = findLookAlikes([label, ...known]).find(({ names }) => names[0] === label);
  const meant =
    alike === undefined
      ? suggestion(label, known.slice(0, MAX_SUGGESTED))
      : `; did you mean ${JSON.stringify(alike.names[1])}?`;
  return `, which no training row has; must be one of ${quoteNames(known)}${meant}`;
}
