/** How a sweep file describes the user's own questions. */
import type { z } from 'zod';
import { text } from '../../config/schema-parts';
import { TABLE_FORMATS } from '../../tables/table';
import type { OwnTask, OwnTaskSchema, WrittenOwnTask } from '../family';
import type { QuestionColumns } from './dataset';

/** Questions with their contexts and answers. */
export interface OwnQuestions extends OwnTask {
  kind: 'question_answering';
  /** null if both files are SQuAD's JSON. */
  columns: QuestionColumns | null;
  /** In report order; null: SQuAD's metrics for such questions. */
  metrics: string[] | null;
}

const columns = {
  question: text.optional(),
  context: text.optional(),
  answer: text.optional(),
  answer_start: text.optional(),
};
const COLUMN_KEYS = Object.keys(columns) as (keyof typeof columns)[];

type Written = WrittenOwnTask & z.output<z.ZodObject<typeof columns>>;

export const ownQuestionTasks: OwnTaskSchema<OwnQuestions, Written> = {
  formats: ['json', ...TABLE_FORMATS],
  columns,
  check(task, refuse) {
    const tables = [task.train, task.validation].some((path) =>
      TABLE_FORMATS.some((format) => path.toLowerCase().endsWith(`.${format}`)),
    );
    const named = COLUMN_KEYS.filter((key) => task[key] !== undefined);
    if (!tables && named.length > 0)
      refuse(named[0]!, "left out for files in SQuAD's JSON, whose names are fixed");
    for (const key of ['question', 'context', 'answer'] as const) {
      if (tables && task[key] === undefined) refuse(key, 'the name of a column, for tables');
    }
    const twice = named.find((key, i) =>
      named.slice(0, i).some((other) => task[other] === task[key]),
    );
    if (twice !== undefined) refuse(twice, 'a different column');
  },
  complete({ question, context, answer, answer_start, metrics }, place) {
    const columns =
      question === undefined || context === undefined || answer === undefined
        ? null
        : { question, context, answer, answer_start: answer_start ?? null };
    return { ...place, kind: 'question_answering', columns, metrics: metrics ?? null };
  },
};
