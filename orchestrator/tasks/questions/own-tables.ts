/** Questions in the user's own tables: one per row, with its context and at most one answer. */
import { ConfigError, type Problem } from '../../base/errors';
import { limitProblems, show } from '../../tables/problem-list';
import type { QuestionColumns } from './dataset';
import { findAnswerAt, type SquadAnswer, type SquadExample } from './squad-json';
import { readTable, type TableRow } from '../../tables/table';

/**
 * Reads a file's questions. Their ids are the numbers of their rows, from 1. An empty answer means
 * that the question has none.
 *
 * @throws ConfigError with every row that cannot be used, at most 20
 */
export async function readOwnQuestions(
  path: string,
  columns: QuestionColumns,
): Promise<SquadExample[]> {
  const { question, context, answer, answer_start: start } = columns;
  const wanted = [question, context, answer, ...(start === null ? [] : [start])];
  const rows = await readTable(path, wanted);
  return readRows(path, rows, (row, number) => readRow(row, number, columns));
}

/** What is asked, and of what. */
type Asked = Pick<QuestionColumns, 'question' | 'context'>;

/**
 * Reads a file's questions without their answers. Their ids are those of a column `id`, or the
 * numbers of their rows, from 1.
 *
 * @throws ConfigError as readOwnQuestions
 */
export async function readUnanswered(
  path: string,
  { question, context }: Asked,
): Promise<SquadExample[]> {
  const rows = await readTable(path, [question, context], [ID_COLUMN]);
  return readRows(path, rows, (row, number) => ({
    id: readId(row.cells[2]) ?? number,
    ...readAsked(row, { question, context }),
    answers: [],
  }));
}

const ID_COLUMN = 'id';

function readId(cell: unknown): string | null {
  if (cell === undefined || cell === null || cell === '') return null;
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'bigint' || (typeof cell === 'number' && Number.isSafeInteger(cell)))
    return String(cell);
  throw new RangeError(`"${ID_COLUMN}" is ${show(cell)}; must be text or a whole number`);
}

function readRows(
  path: string,
  rows: readonly TableRow[],
  read: (row: TableRow, number: string) => SquadExample,
): SquadExample[] {
  const problems: Problem[] = [];
  const examples = rows.flatMap((row, i): SquadExample[] => {
    try {
      return [read(row, String(i + 1))];
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      problems.push({ where: row.where, message: error.message });
      return [];
    }
  });
  if (problems.length > 0) throw new ConfigError(limitProblems(path, problems, 'rows'));
  return examples;
}

/** Reads a question; throws a RangeError that says what is wrong with the row. */
function readRow(row: TableRow, id: string, columns: QuestionColumns): SquadExample {
  const { question, context } = readAsked(row, columns);
  const { cells } = row;
  const text = readText(cells[2], columns.answer);
  if (text.trim() === '') return { id, question, context, answers: [] };
  const answer =
    columns.answer_start === null
      ? onlyPlace(text, context, columns)
      : atPlace(text, context, cells[3], columns.answer_start);
  return { id, question, context, answers: [answer] };
}

function readAsked(
  { cells, problem }: TableRow,
  columns: Asked,
): { question: string; context: string } {
  if (problem !== null) throw new RangeError(problem);
  const [question, context] = [
    readText(cells[0], columns.question),
    readText(cells[1], columns.context),
  ];
  if (question.trim() === '') throw new RangeError(`"${columns.question}" is empty; must be text`);
  if (context.trim() === '') throw new RangeError(`"${columns.context}" is empty; must be text`);
  return { question, context };
}

/** Finds an answer by its text alone, which must occur exactly once in the context. */
function onlyPlace(text: string, context: string, columns: QuestionColumns): SquadAnswer {
  const start = context.indexOf(text);
  let times = 0;
  for (let at = start; at !== -1; at = context.indexOf(text, at + 1)) times++;
  if (times === 1) return { text, start };
  throw new RangeError(
    `"${columns.answer}" is ${show(text)}, which occurs ${times} times in ` +
      `"${columns.context}"; must occur once, or answer_start must name a column with its place`,
  );
}

function atPlace(text: string, context: string, cell: unknown, column: string): SquadAnswer {
  const written = typeof cell === 'string' && cell.trim() === '' ? null : cell;
  const at =
    written === null || written === undefined || typeof written === 'object'
      ? NaN
      : Number(written);
  if (!Number.isSafeInteger(at) || at < 0) {
    const expected =
      "must be the place of the answer's first character in the context, counted from 0";
    throw new RangeError(`"${column}" is ${show(cell)}; ${expected}`);
  }
  const found = findAnswerAt(text, at, context, { key: `"${column}"` });
  if (typeof found === 'string') throw new RangeError(found);
  return found;
}

/** A cell as text; a JSON null is empty. */
function readText(cell: unknown, column: string): string {
  if (cell === undefined) throw new RangeError(`has no "${column}"`);
  if (cell === null) return '';
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'number' || typeof cell === 'bigint') return String(cell);
  throw new RangeError(`"${column}" is ${show(cell)}; must be text`);
}
