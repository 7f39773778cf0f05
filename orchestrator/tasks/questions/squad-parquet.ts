import { ConfigError } from '../../base/errors';
import { readParquetColumns } from '../../tables/parquet';
import { readSquadDocument, type SquadExample, type SquadTask } from './squad-json';

/**
 * Reads the questions of a parquet file of SQuAD on the hub, with the same checks as its JSON. The
 * hub's answers are `{text, answer_start}`, both lists, which are empty if a question of v2.0 has
 * no answer.
 */
export async function readSquadParquet(path: string, task: SquadTask): Promise<SquadExample[]> {
  const wanted = ['id', 'question', 'context', 'answers'];
  const columns = await readParquetColumns(path, wanted, { nested: ['answers'] });
  const questions = columns[0]!.map((id, i) => {
    const [question, context, answers] = columns.slice(1).map((values) => values[i]);
    const { text, answer_start: starts } = (answers ?? {}) as Record<string, unknown>;
    if (
      typeof context !== 'string' ||
      !Array.isArray(text) ||
      !Array.isArray(starts) ||
      text.length !== starts.length
    ) {
      throw new ConfigError({
        where: `${path}, row ${i + 1}`,
        message: 'must have text in "context" and {text, answer_start}, both lists, in "answers"',
      });
    }
    const listed = text.map((each: unknown, k) => ({
      text: each,
      answer_start: starts[k] as unknown,
    }));
    return {
      context,
      qas: [
        {
          id,
          question,
          answers: listed,
          ...(task === 'squad_v2' ? { is_impossible: listed.length === 0 } : {}),
        },
      ],
    };
  });
  try {
    return readSquadDocument(path, { data: [{ paragraphs: questions }] }, task);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(
      error.problems.map(({ where, message }) => ({
        where: sayRows(where),
        message: sayRows(message),
      })),
    );
  }
}

/** Rewrites places as row numbers: each row is a paragraph with one question. */
const sayRows = (text: string) =>
  text.replace(
    /(: )?data\[0\]\.paragraphs\[(\d+)\](\.qas\[0\])?/g,
    (_, colon: string | undefined, i) => `${colon ? ', ' : ''}row ${Number(i) + 1}`,
  );
