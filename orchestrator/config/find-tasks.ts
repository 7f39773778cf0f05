/**
 * From the tasks as they are written to tasks with their files: what a name alone stands for. Pure.
 */
import { dirname, resolve } from 'node:path';
import { SUMMARY_METRICS } from '../tasks/summaries/published';
import { DEFAULT_METRICS } from './defaults';
import { mergeTrain } from './merge-settings';
import type {
  OwnQuestionsConfig,
  OwnRowsConfig,
  OwnSummariesConfig,
  OwnTaskConfig,
} from './sweep-config';
import type {
  NamedTask,
  OwnQuestionTask,
  OwnRowsTask,
  OwnSummaryTask,
  OwnTask,
  TrainKeys,
} from './task-schema';

/** A task as it is run; its training settings are not complete yet. */
export interface FoundTask {
  name: string;
  train: TrainKeys;
  own: OwnTaskConfig | null;
}

/**
 * Makes tasks of what is written.
 *
 * @param written the tasks that are to run
 * @param described those that the file's own `tasks` describe; a name alone stands for the one
 *   there
 * @param file the sweep file, which paths are relative to; null: relative to the working directory
 * @param originOf where a task is described, for messages
 */
export function findTasks(
  written: readonly (NamedTask | OwnTask)[],
  described: readonly (NamedTask | OwnTask)[],
  file: string | null,
  originOf: (task: OwnTask) => string,
): FoundTask[] {
  const folder = file === null ? '.' : dirname(file);
  return written.map((task): FoundTask => {
    const over = 'kind' in task ? {} : (task.train ?? {});
    const description =
      'kind' in task
        ? task
        : described.filter((each) => 'kind' in each).find(({ name }) => name === task.name);
    if (description === undefined) return { name: task.name, train: over, own: null };
    const { name, train, validation, settings } = description;
    const where = {
      origin: originOf(description),
      files: { train: resolve(folder, train), validation: resolve(folder, validation) },
    };
    return { name, train: mergeTrain(settings ?? {}, over), own: ownOf(description, where) };
  });
}

function ownOf(task: OwnTask, where: Where): OwnTaskConfig {
  if (task.kind === 'question_answering') return questionsOf(task, where);
  return task.kind === 'summarization' ? summariesOf(task, where) : rowsOf(task, where);
}

type Where = Pick<OwnTaskConfig, 'origin' | 'files'>;

function rowsOf({ kind, text, label, metrics }: OwnRowsTask, where: Where): OwnRowsConfig {
  return { ...where, kind, text, label, metrics: metrics ?? [...DEFAULT_METRICS[kind]] };
}

function summariesOf(
  { kind, document, summary, metrics }: OwnSummaryTask,
  where: Where,
): OwnSummariesConfig {
  return {
    ...where,
    kind,
    columns: { document, summary },
    metrics: metrics ?? [...SUMMARY_METRICS],
  };
}

function questionsOf(
  { kind, question, context, answer, answer_start, metrics }: OwnQuestionTask,
  where: Where,
): OwnQuestionsConfig {
  const columns =
    question === undefined || context === undefined || answer === undefined
      ? null
      : { question, context, answer, answer_start: answer_start ?? null };
  return { ...where, kind, columns, metrics: metrics ?? null };
}
