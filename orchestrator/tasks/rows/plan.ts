/** Plans data sets of rows from their files. */
import { ConfigError } from '../../base/errors';
import { planSplit } from '../../datasets/splits';
import type { PlannedSplit } from '../../sweep/types';
import { digestFile } from '../../tables/file-digest';
import type { FoundRows, Planning, PlanningContext, TaskSource } from '../family';
import { checkFilesExist } from '../../datasets/own-files';
import type { RowsDataset } from './dataset';
import type { OwnRows } from './own-tasks';
import { readOwnRows } from './own-tables';
import { countOutputs, findGlueTask } from './published';
import { checkLabels, digestGlueRows, readGlueRows } from './source';

export const rowPlanning: Planning<object, OwnRows, RowsDataset> = {
  planPublished: planGlue,
  planOwn,
  findLengthProblem: () => null,
  identify: ({ columns, metrics }) => ({ own: columns && { columns, metrics } }),
};

async function planGlue(
  name: string,
  { source, files }: TaskSource,
  { limits }: PlanningContext<object>,
): Promise<FoundRows<RowsDataset>> {
  const task = findGlueTask(name);
  const splits: PlannedSplit[] = [];
  for (const { name } of task.splits) {
    const split = { name, file: files[name] ?? null };
    const rows = await readGlueRows(task, split);
    checkLabels(task, rows, split);
    splits.push(planSplit(split, rows.length, digestGlueRows(task, split), limits));
  }
  return {
    task: task.name,
    kind: task.kind,
    num_labels: countOutputs(task),
    label_names: [...task.labels],
    metrics: [...task.metrics],
    source,
    splits,
  };
}

/** The training file determines the classes. */
async function planOwn(
  name: string,
  own: OwnRows,
  { limits }: PlanningContext<object>,
): Promise<FoundRows<RowsDataset>> {
  const { origin, kind, files, text, label, metrics } = own;
  checkFilesExist(name, own);
  const columns = { text, label };
  const train = await readOwnRows(files.train, { kind, columns }, null);
  // A training file with problems may lack classes, so validation labels are not checked then.
  const known = train.problems.length > 0 ? null : train.labels;
  const validation = await readOwnRows(files.validation, { kind, columns }, known);
  const problems = [...train.problems, ...validation.problems];
  if (problems.length > 0) throw new ConfigError(problems);
  if (kind === 'classification' && train.labels.length < 2) {
    const message =
      `has only one class: "${label}" is ${JSON.stringify(train.labels[0])} in every row; ` +
      'must have at least two';
    throw new ConfigError({ where: files.train, message });
  }
  if (metrics.includes('f1') && train.labels.length > 2) {
    const message =
      `${name}: metrics: f1 needs two classes, but ${files.train} has ${train.labels.length}; ` +
      'must be macro_f1 instead';
    throw new ConfigError({ where: origin, message });
  }
  return {
    task: name,
    kind,
    num_labels: countOutputs({ kind, labels: train.labels }),
    label_names: train.labels,
    metrics: [...metrics],
    source: 'files',
    columns,
    splits: Object.entries({ train, validation }).map(([split, { rows }]) => {
      const file = files[split as keyof typeof files];
      return planSplit({ name: split, file }, rows.length, digestFile(file), limits);
    }),
  };
}
