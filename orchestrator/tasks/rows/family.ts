/** Texts or pairs of texts, each with a class or a number: GLUE, and the user's own files. */
import { TaskKind } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { inflect } from '../../base/plural';
import type { TaskFamily } from '../family';
import type { RowsDataset } from './dataset';
import { rowEvaluation } from './evaluation';
import { rowFiles } from './files';
import { rowInputs } from './inputs';
import { ownRowTasks, type OwnRows } from './own-tasks';
import { rowPlanning } from './plan';
import { GLUE } from './published';
import { rowScore } from './score';
import { rowSettings } from './settings';
import { glueSubmissions } from './submissions';

export const rows: TaskFamily<object, OwnRows, RowsDataset> = {
  kinds: {
    classification: {
      proto: TaskKind.TASK_KIND_CLASSIFICATION,
      metrics: ['accuracy', 'macro_f1', 'f1', 'matthews'],
    },
    regression: {
      proto: TaskKind.TASK_KIND_REGRESSION,
      metrics: ['pearson', 'spearman'],
    },
  },
  writes: null,
  defaultMaxLength: 128,
  published: GLUE,
  settings: rowSettings,
  ownTasks: ownRowTasks,
  planning: rowPlanning,
  files: rowFiles,
  evaluation: rowEvaluation,
  score: rowScore,
  inputs: rowInputs,
  submissions: glueSubmissions,
  words: {
    metricTitles: {
      accuracy: 'accuracy',
      accuracy_mismatched: 'accuracy (mismatched)',
      f1: 'F1',
      macro_f1: 'macro F1',
      matthews: 'Matthews',
      pearson: 'Pearson',
      spearman: 'Spearman',
    },
    degenerate: { one_class_predictions: 'all rows are predicted as one class' },
    leftOut: null,
    nameRows: ({ of }) => inflect(of, 'row'),
  },
  // Dense [d, d] and out [labels, d], with biases.
  countHead: (d, labels) => d * d + d + labels * d + labels,
};
