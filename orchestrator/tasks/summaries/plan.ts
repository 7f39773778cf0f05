/** Plans data sets of documents and summaries from their tables. */
import { describeSplits } from '../../datasets/describe-splits';
import { planSplit, readEverySplit, type RowLimits } from '../../datasets/splits';
import type { PlannedSplit } from '../../sweep/types';
import type { FoundRows, Planning, PlanningContext, TaskSource } from '../family';
import { checkFilesExist } from '../../datasets/own-files';
import type { SummaryColumns, SummaryDataset } from './dataset';
import type { OwnSummaries } from './own-tasks';
import { SUMMARY_COLUMNS, SUMMARY_METRICS, type SummaryTask } from './published';
import type { SummarySettings } from './settings';
import { digestSummaries, readSummarySplit } from './source';

type Context = PlanningContext<SummarySettings>;
type Found = Promise<FoundRows<SummaryDataset>>;

export const summaryPlanning: Planning<SummarySettings, OwnSummaries, SummaryDataset> = {
  planPublished,
  planOwn,
  findLengthProblem(_task, { max_target_length, generation }, { positions, backbone }) {
    const asked = { max_target_length, 'generation.max_length': generation.max_length };
    const beyond = Object.entries(asked).find(([, length]) => length > positions);
    if (beyond === undefined) return null;
    const [key, length] = beyond;
    return `${key}: ${length} is not allowed; ${backbone} has ${positions} positions`;
  },
  identify: ({ summaries, metrics }) => ({ summaries: { ...summaries, metrics } }),
};

async function planPublished(
  task: string,
  { source, files }: TaskSource,
  { settings, limits }: Context,
): Found {
  const columns = SUMMARY_COLUMNS[task as SummaryTask];
  return {
    ...describe(task, columns, settings),
    metrics: [...SUMMARY_METRICS],
    source,
    splits: await planSplits(task, columns, files, limits),
  };
}

async function planOwn(name: string, own: OwnSummaries, { settings, limits }: Context): Found {
  checkFilesExist(name, own);
  const { columns, metrics, files } = own;
  return {
    ...describe(name, columns, settings),
    metrics: [...metrics],
    source: 'files',
    splits: await planSplits(name, columns, files, limits),
  };
}

function describe(
  task: string,
  columns: SummaryColumns,
  { max_target_length }: SummarySettings,
): Pick<SummaryDataset, 'task' | 'kind' | 'num_labels' | 'label_names' | 'summaries'> {
  const summaries = { columns, max_target_length };
  return { task, kind: 'summarization', num_labels: 0, label_names: [], summaries };
}

async function planSplits(
  task: string,
  columns: SummaryColumns,
  files: TaskSource['files'],
  limits: RowLimits,
): Promise<PlannedSplit[]> {
  const splits = await readEverySplit(files, async (split) => {
    const { rows, leftOut } = await readSummarySplit(task, columns, split);
    const planned = planSplit(split, rows.length, digestSummaries(task, split), limits);
    return { planned: leftOut === 0 ? planned : { ...planned, left_out: leftOut }, rows };
  });
  return describeSplits(
    splits.map(({ read }) => read),
    ({ document }) => [document],
  );
}
