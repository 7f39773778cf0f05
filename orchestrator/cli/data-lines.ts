/** What `start`, `run` and `plan` say of the data before anything runs. */
import type { OnProgress } from '../base/progress';
import { plural } from '../base/plural';
import {
  dataWarnings,
  describeOverlap,
  heldOutWarnings,
  overlapsMuch,
} from '../sweep/data-warnings';
import { listHeldOut, listTaskDatasets } from '../sweep/lookup';
import type { PlannedDataset } from '../sweep/types';
import { findFamily, nameBenchmarks } from '../tasks/registry';

/** So many classes are all listed; of more, the largest LISTED. */
const ALL_LISTED = 8;
const LISTED = 6;

/** `note` follows the list of tasks. */
export function sayData(
  planned: readonly PlannedDataset[],
  note: string,
  onProgress: OnProgress,
): void {
  const datasets = listTaskDatasets(planned);
  onProgress('✓', 'data', `${datasets.map(describeDataset).join(', ')}${note}`);
  for (const dataset of datasets) {
    const labels = describeClasses(dataset) ?? describeRange(dataset);
    if (labels !== null) onProgress('·', 'labels', `${dataset.task}: ${labels}`);
  }
  for (const text of datasets.flatMap(leftOutNotes)) onProgress('!', 'data', text);
  for (const text of datasets.flatMap(smallOverlaps)) onProgress('·', 'data', text);
  for (const warning of datasets.flatMap(dataWarnings)) onProgress('!', 'data', warning);
  const heldOut = listHeldOut(planned);
  if (heldOut.length > 0) {
    const rows = heldOut.map(describeHeldOut).join(', ');
    onProgress('·', 'held out', `of the training rows, for the search: ${rows}`);
    for (const warning of heldOut.flatMap(heldOutWarnings)) onProgress('!', 'held out', warning);
  }
  const demo = datasets.filter(({ source }) => source === 'demo').map(({ task }) => task);
  if (demo.length > 0) {
    const reason = 'no --data-dir, no SA_ORCH_DATA, and the hub is unreachable';
    onProgress('!', 'demo rows', `generated here, not ${nameBenchmarks(demo)}: ${reason}`);
  }
}

function describeDataset({ task, kind, splits, source }: PlannedDataset): string {
  const train = splits.find(({ name }) => name === 'train');
  if (!train) return task;
  const rows =
    train.rows < train.of ? `${count(train.rows)} of ${count(train.of)}` : count(train.rows);
  const noun = findFamily(kind).words.nameRows(train);
  return `${task} ${rows} ${source === 'demo' ? 'demo ' : ''}${noun}`;
}

/** `mrpc 367 of 3,668`. */
function describeHeldOut({ task, splits }: PlannedDataset): string {
  const [train, held] = ['train', 'validation'].map(
    (name) => splits.find((split) => split.name === name)?.rows ?? 0,
  ) as [number, number];
  return `${task} ${count(held)} of ${count(train + held)}`;
}

/** `billing 386 / 120, shipping 2 / 0 (train / validation)`; null without classes. */
function describeClasses({ label_names: names, splits }: PlannedDataset): string | null {
  const counted = splits.filter(({ class_rows }) => class_rows !== undefined);
  if (counted.length === 0) return null;
  const rows = (i: number) => counted.map(({ class_rows }) => class_rows![i]!);
  const all = names.map((name, i) => ({ name, rows: rows(i) }));
  const largest = all.toSorted((a, b) => b.rows[0]! - a.rows[0]!);
  const listed = names.length <= ALL_LISTED ? all : largest.slice(0, LISTED);
  const words = listed.map(({ name, rows }) => `${clip(name)} ${rows.map(count).join(' / ')}`);
  const more = names.length - listed.length;
  return (
    (more > 0 ? `${count(names.length)} classes: ` : '') +
    words.join(', ') +
    (more > 0 ? ` and ${count(more)} more` : '') +
    nameSplits(counted)
  );
}

/** `0 to 5 / 0 to 5 (train / validation)`; null without numbers. */
function describeRange({ splits }: PlannedDataset): string | null {
  const ranged = splits.filter(({ label_range }) => label_range !== undefined);
  if (ranged.length === 0) return null;
  const ranges = ranged.map(({ label_range }) => label_range!.join(' to '));
  return `${ranges.join(' / ')}${nameSplits(ranged)}`;
}

const nameSplits = (splits: PlannedDataset['splits']) =>
  ` (${splits.map(({ name }) => name).join(' / ')})`;

const MAX_NAME = 30;

/** A class name on one line of a terminal. */
function clip(name: string): string {
  const characters = [...name.replace(/[\p{Cc}\p{Cf}]/gu, '�')];
  return characters.length > MAX_NAME
    ? `${characters.slice(0, MAX_NAME - 1).join('')}…`
    : characters.join('');
}

/** Rows that are in training, too, where they are too few for a warning. */
function smallOverlaps({ task, splits, source }: PlannedDataset): string[] {
  return splits
    .filter((split) => source !== 'demo' && (split.also_in_train ?? 0) > 0 && !overlapsMuch(split))
    .map((split) => `${task}: ${describeOverlap(split)}`);
}

/** The rows of a published data set that are skipped. */
function leftOutNotes({ task, kind, splits }: PlannedDataset): string[] {
  return splits
    .filter(({ left_out = 0 }) => left_out > 0)
    .map(
      ({ name, left_out, file }) =>
        `${task} ${name}: skipping ${plural(left_out!, 'row')} ${findFamily(kind).words.leftOut} ` +
        `(${file})`,
    );
}

/** 3668 as `3,668`. */
export const count = (n: number) => n.toLocaleString('en-US');
