/** Documents whose summaries are generated: XSum, CNN/DailyMail, and the user's own. */
import { TaskKind } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { inflect } from '../../base/plural';
import type { TaskFamily } from '../family';
import type { SummaryDataset } from './dataset';
import { summaryEvaluation } from './evaluation';
import { summaryFiles } from './files';
import { summaryInputs } from './inputs';
import { ownSummaryTasks, type OwnSummaries } from './own-tasks';
import { summaryPlanning } from './plan';
import { SUMMARY_METRICS, SUMMARY_TASKS } from './published';
import { summaryScore } from './score';
import { summarySettings, type SummarySettings } from './settings';

export const summaries: TaskFamily<SummarySettings, OwnSummaries, SummaryDataset> = {
  kinds: {
    summarization: { proto: TaskKind.TASK_KIND_SUMMARIZATION, metrics: SUMMARY_METRICS },
  },
  writes: 'summaries',
  // As in the scripts of He et al. (2022).
  defaultMaxLength: 512,
  published: SUMMARY_TASKS,
  settings: summarySettings,
  ownTasks: ownSummaryTasks,
  planning: summaryPlanning,
  files: summaryFiles,
  evaluation: summaryEvaluation,
  score: summaryScore,
  inputs: summaryInputs,
  submissions: null,
  words: {
    metricTitles: {
      rouge1: 'ROUGE-1',
      rouge2: 'ROUGE-2',
      rougeL: 'ROUGE-L',
      rougeLsum: 'ROUGE-Lsum',
    },
    degenerate: { empty_summaries: 'all summaries are empty' },
    leftOut: 'with an empty document or summary',
    nameRows: ({ of }) => inflect(of, 'row'),
  },
  countHead: () => 0,
};
