/** Plans data sets of documents and summaries from their tables. */
import { describeSplits, type ReadSplit } from '../../datasets/describe-splits';
import { planHeldOut } from '../../datasets/hold-out';
import { planSplit, readEverySplit } from '../../datasets/splits';
import type { PlannedSplit } from '../../sweep/types';
import type { Found, Planning, PlanningContext, TaskSource } from '../family';
import { checkFilesExist } from '../../datasets/own-files';
import type { SummaryColumns, SummaryDataset } from './dataset';
import type { OwnSummaries } from './own-tasks';
import { SUMMARY_COLUMNS, SUMMARY_METRICS, type SummaryTask } from './published';
import type { SummarySettings } from './settings';
import { digestSummaries, readSummarySplit } from './source';
import { groupByDocument, type SummaryRow } from './texts';

type Context = PlanningContext<SummarySettings>;

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
  { settings, ...context }: Context,
): Promise<Found<SummaryDataset>> {
  const columns = SUMMARY_COLUMNS[task as SummaryTask];
  const metrics = [...SUMMARY_METRICS];
  const { splits, heldOut } = await planSplits(task, columns, files, context);
  return {
    rows: { ...describe(task, columns, settings), metrics, source, splits },
    heldOut: heldOut && { splits: heldOut, metrics },
  };
}

async function planOwn(
  name: string,
  own: OwnSummaries,
  { settings, ...context }: Context,
): Promise<Found<SummaryDataset>> {
  checkFilesExist(name, own);
  const { columns, files } = own;
  const metrics = [...own.metrics];
  const { splits, heldOut } = await planSplits(name, columns, files, context);
  return {
    rows: { ...describe(name, columns, settings), metrics, source: 'files', splits },
    heldOut: heldOut && { splits: heldOut, metrics },
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
  { limits, holdOut }: Pick<Context, 'limits' | 'holdOut'>,
): Promise<{ splits: PlannedSplit[]; heldOut: PlannedSplit[] | null }> {
  const splits = await readEverySplit(files, async (split) => {
    const { rows, leftOut } = await readSummarySplit(task, columns, split);
    const planned = planSplit(split, rows.length, digestSummaries(task, split), limits);
    return { planned: leftOut === 0 ? planned : { ...planned, left_out: leftOut }, rows };
  });
  const read = splits.map((each) => each.read);
  const train = read.find(({ planned }) => planned.name === 'train')!;
  const describe = (all: readonly ReadSplit<SummaryRow>[]) =>
    describeSplits(all, ({ document }) => [document]);
  return {
    splits: describe(read),
    heldOut: holdOut === null ? null : describe(planHeldOut(train, holdOut, groupByDocument)),
  };
}
