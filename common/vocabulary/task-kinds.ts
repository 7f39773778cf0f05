/** What is learned from a row. */
import { TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const TASK_KINDS = defineVocabulary<TaskKind>()({
  classification: { proto: TaskKind.TASK_KIND_CLASSIFICATION },
  regression: { proto: TaskKind.TASK_KIND_REGRESSION },
  question_answering: { proto: TaskKind.TASK_KIND_QUESTION_ANSWERING },
  summarization: { proto: TaskKind.TASK_KIND_SUMMARIZATION },
});

export type TaskKindName = keyof typeof TASK_KINDS;
