/** Questions about contexts, answered by a span of the context: SQuAD, and the user's own. */
import { TaskKind } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { inflect } from '../../base/plural';
import type { TaskFamily } from '../family';
import type { QuestionDataset } from './dataset';
import { questionEvaluation } from './evaluation';
import { questionFiles } from './files';
import { questionInputs } from './inputs';
import { ownQuestionTasks, type OwnQuestions } from './own-tasks';
import { questionPlanning } from './plan';
import { QUESTION_METRICS, SQUAD } from './published';
import { questionScore } from './score';
import { questionSettings, type QuestionSettings } from './settings';

export const questions: TaskFamily<QuestionSettings, OwnQuestions, QuestionDataset> = {
  kinds: {
    question_answering: {
      proto: TaskKind.TASK_KIND_QUESTION_ANSWERING,
      metrics: QUESTION_METRICS,
    },
  },
  writes: null,
  // As in the official scripts (Devlin 2019).
  defaultMaxLength: 384,
  published: SQUAD,
  settings: questionSettings,
  ownTasks: ownQuestionTasks,
  planning: questionPlanning,
  files: questionFiles,
  evaluation: questionEvaluation,
  score: questionScore,
  inputs: questionInputs,
  submissions: null,
  words: {
    metricTitles: {
      f1: 'F1',
      exact_match: 'exact match',
      best_f1: 'best F1',
      has_answer_f1: 'F1 (answered)',
      no_answer_f1: 'F1 (unanswered)',
    },
    degenerate: { empty_answers: 'all answers are empty' },
    leftOut: null,
    nameRows: ({ of, features }) =>
      `${inflect(of, 'question')} in ` +
      `${features!.toLocaleString('en-US')} ${inflect(features!, 'window')}`,
  },
  // Only out [2, d], with biases.
  countHead: (d, labels) => labels * d + labels,
};
