/** Plans data sets of rows from their files. */
import { ConfigError } from '../../base/errors';
import { describeSplits, type ReadSplit } from '../../datasets/describe-splits';
import { planHeldOut } from '../../datasets/hold-out';
import { planSplit } from '../../datasets/splits';
import type { PlannedSplit } from '../../sweep/types';
import { digestFile } from '../../tables/file-digest';
import type { Found, Planning, PlanningContext, TaskSource } from '../family';
import { checkFilesExist } from '../../datasets/own-files';
import type { Row, RowKind, RowsDataset } from './dataset';
import type { OwnRows } from './own-tasks';
import { readOwnRows } from './own-tables';
import { countOutputs, findGlueTask } from './published';
import { groupByText } from './shared-text';
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
  { limits, holdOut }: PlanningContext<object>,
): Promise<Found<RowsDataset>> {
  const task = findGlueTask(name);
  const splits: ReadSplit<Row>[] = [];
  for (const { name } of task.splits) {
    const split = { name, file: files[name] ?? null };
    const rows = await readGlueRows(task, split);
    checkLabels(task, rows, split);
    const planned = planSplit(split, rows.length, digestGlueRows(task, split), limits);
    splits.push({ planned, rows });
  }
  const describe = (read: readonly ReadSplit<Row>[]) =>
    describeRows(read, task.kind, task.labels.length);
  return {
    rows: {
      task: task.name,
      kind: task.kind,
      num_labels: countOutputs(task),
      label_names: [...task.labels],
      metrics: [...task.metrics],
      source,
      splits: describe(splits),
    },
    heldOut:
      holdOut === null
        ? null
        : {
            splits: describe(holdOutRows(findTrain(splits), holdOut)),
            metrics: task.metrics.filter((name) => !name.endsWith('_mismatched')),
          },
  };
}

const findTrain = (splits: readonly ReadSplit<Row>[]) =>
  splits.find(({ planned }) => planned.name === 'train')!;

const holdOutRows = (train: ReadSplit<Row>, fraction: number) =>
  planHeldOut(train, fraction, groupByText(train.rows));

/** Adds the rows of each class, or the range of the numbers, and what is in training, too. */
function describeRows(
  splits: readonly ReadSplit<Row>[],
  kind: RowKind,
  classes: number,
): PlannedSplit[] {
  const texts = ({ text, pair }: Row) => (pair === null ? [text] : [text, pair]);
  return describeSplits(splits, texts, (used) => {
    if (kind === 'regression') return { label_range: findRange(used) };
    const class_rows = new Array<number>(classes).fill(0);
    for (const { label } of used) class_rows[label!]!++;
    return { class_rows };
  });
}

function findRange(rows: readonly Row[]): [number, number] {
  const range: [number, number] = [Infinity, -Infinity];
  for (const { label } of rows) {
    range[0] = Math.min(range[0], label!);
    range[1] = Math.max(range[1], label!);
  }
  return range;
}

/** The training file determines the classes. */
async function planOwn(
  name: string,
  own: OwnRows,
  { limits, holdOut }: PlanningContext<object>,
): Promise<Found<RowsDataset>> {
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
  const read = Object.entries({ train, validation }).map(([split, { rows }]) => {
    const file = files[split as keyof typeof files];
    return {
      planned: planSplit({ name: split, file }, rows.length, digestFile(file), limits),
      rows,
    };
  });
  const describe = (splits: readonly ReadSplit<Row>[]) =>
    describeRows(splits, kind, train.labels.length);
  return {
    rows: {
      task: name,
      kind,
      num_labels: countOutputs({ kind, labels: train.labels }),
      label_names: train.labels,
      metrics: [...metrics],
      source: 'files',
      columns,
      splits: describe(read),
    },
    heldOut:
      holdOut === null
        ? null
        : {
            splits: describe(holdOutRows(findTrain(read), holdOut)),
            metrics: [...metrics],
          },
  };
}
