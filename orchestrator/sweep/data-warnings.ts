/** Warns of data that lead to false findings. Pure: everything it says is from the plan. */
import { plural } from '../base/plural';
import { findLookAlikes, looksMissing } from './look-alikes';
import type { PlannedDataset, PlannedSplit } from './types';

/**
 * A class with fewer validation rows has a recall that one prediction moves by more than ten
 * points, which is more than pruners usually differ by. So few training rows are seldom learned.
 */
const FEW_ROWS = 10;

/** Below this part, rows that are in training, too, cannot move a metric by a point. */
const MUCH_OVERLAP = 0.01;

/** How many classes one sentence names. */
const NAMED = 5;

const withCommas = (n: number) => n.toLocaleString('en-US');

/** One sentence per warning. Generated rows mean nothing, so there are none about those. */
export function dataWarnings(dataset: PlannedDataset): string[] {
  if (dataset.source === 'demo') return [];
  const train = dataset.splits.find(({ name }) => name === 'train');
  const others = dataset.splits.filter(({ name }) => name !== 'train');
  if (train === undefined) return [];
  return [
    ...warnOfNames(dataset, train),
    ...others.flatMap((split) => warnOfMissing(dataset, train, split)),
    ...[train, ...others].flatMap((split) => warnOfFewRows(dataset, split)),
    ...[train, ...others].flatMap(warnOfOneValue),
    ...others.flatMap((split) => warnOfOverlap(train, split)),
  ].map((sentence) => `${dataset.task}: ${sentence}`);
}

/**
 * The same for rows that a search holds out of train: what it chooses is as good as they are. One
 * sentence per warning.
 */
export function heldOutWarnings(dataset: PlannedDataset): string[] {
  const { task, source, label_names: names, splits } = dataset;
  const [left, held] = ['train', 'validation'].map(
    (split) => splits.find(({ name }) => name === split)?.class_rows,
  );
  if (source === 'demo' || left === undefined || held === undefined) return [];
  const list = (isListed: (i: number) => boolean, rows: readonly number[], of: string) => {
    const listed = names.filter((_, i) => isListed(i));
    return listed.length === 0
      ? null
      : nameSome(listed, (name) => `${show(name)} (${rows[names.indexOf(name)]!}${of})`);
  };
  const unseen = list((i) => left[i]! > 0 && held[i] === 0, left, ' left in train');
  const unlearned = list((i) => left[i] === 0 && held[i]! > 0, held, ' held out');
  const few = list((i) => held[i]! > 0 && held[i]! < FEW_ROWS, held, '');
  return [
    ...(unseen === null
      ? []
      : [`no row of class ${unseen} is held out, so the search chooses without regard to it`]),
    ...(unlearned === null
      ? []
      : [`every row of class ${unlearned} is held out, so the search’s trials never learn it`]),
    ...(few === null
      ? []
      : [
          `fewer than ${FEW_ROWS} held-out rows of class ${few}: one prediction moves the recall ` +
            'of such a class by more than 10 points in the search',
        ]),
  ].map((sentence) => `${task}: ${sentence}`);
}

/** Says how many validation rows are in training, too, if there are some: `12 of 408 (2.9 %)`. */
export function describeOverlap({ name, rows, also_in_train: both = 0 }: PlannedSplit): string {
  const percent = ((100 * both) / rows).toFixed(1);
  return `${withCommas(both)} of ${withCommas(rows)} ${name} rows (${percent} %) are also in train`;
}

/** Whether that is worth a warning. */
export const overlapsMuch = ({ rows, also_in_train: both = 0 }: PlannedSplit) =>
  both > 0 && both >= MUCH_OVERLAP * rows;

function warnOfNames({ label_names: names }: PlannedDataset, train: PlannedSplit): string[] {
  const rows = new Map(names.map((name, i) => [name, train.class_rows?.[i]]));
  const quote = (name: string) => {
    const count = rows.get(name);
    return count === undefined ? show(name) : `${show(name)} (${plural(count, 'train row')})`;
  };
  const alike = findLookAlikes(names).map(
    (group) =>
      `${nameSome(group.names, quote)} are separate classes, but ` +
      (group.as === 'word'
        ? 'differ only in case, spaces, hyphens, accents or Unicode form'
        : 'look like the same value written in different ways'),
  );
  const missing = names.filter(looksMissing);
  return [
    ...alike.slice(0, NAMED),
    ...(alike.length > NAMED ? [`${alike.length - NAMED} more groups of such classes`] : []),
    ...(missing.length === 0
      ? []
      : [`${nameSome(missing, quote)} looks like a missing value, but is trained as a class`]),
  ];
}

/** Classes that only one of the splits has. */
function warnOfMissing(
  { label_names: names, metrics }: PlannedDataset,
  { class_rows: trained }: PlannedSplit,
  { name: split, class_rows: measured }: PlannedSplit,
): string[] {
  if (trained === undefined || measured === undefined) return [];
  const unmeasured = names.filter((_, i) => trained[i]! > 0 && measured[i] === 0);
  const untrained = names.filter((_, i) => trained[i] === 0 && measured[i]! > 0);
  const there = measured.filter((count) => count > 0).length;
  const lowered = metrics.some((metric) => metric.startsWith('macro_f1'))
    ? '; one prediction of such a class counts as a class with F1 0 and makes macro_f1 ' +
      `${there}/${there + 1} of what it was`
    : '';
  const list = (classes: readonly string[], rows: readonly number[], of: string) =>
    nameSome(classes, (name) => `${show(name)} (${plural(rows[names.indexOf(name)]!, of)})`);
  return [
    ...(unmeasured.length === 0
      ? []
      : [
          `${split} has no row of class ${list(unmeasured, trained, 'train row')}, so nothing ` +
            `measures it${lowered}`,
        ]),
    ...(untrained.length === 0
      ? []
      : [
          `train has no row in use of class ${list(untrained, measured, `${split} row`)}, so it ` +
            'is not learned',
        ]),
  ];
}

function warnOfFewRows(
  { label_names: names }: PlannedDataset,
  { name: split, class_rows: rows = [] }: PlannedSplit,
): string[] {
  const few = names.filter((_, i) => rows[i]! > 0 && rows[i]! < FEW_ROWS);
  if (few.length === 0) return [];
  const listed = nameSome(few, (name) => `${show(name)} (${rows[names.indexOf(name)]})`);
  const why =
    split === 'train'
      ? 'too few to be learned'
      : 'one prediction moves the recall of such a class by more than 10 points';
  return [`fewer than ${FEW_ROWS} ${split} rows of class ${listed}: ${why}`];
}

function warnOfOneValue({ name, label_range: range }: PlannedSplit): string[] {
  return range !== undefined && range[0] === range[1]
    ? [`every ${name} label is ${range[0]}, so nothing correlates with it`]
    : [];
}

function warnOfOverlap(train: PlannedSplit, split: PlannedSplit): string[] {
  if (train.digest === split.digest) {
    return [
      (train.file === split.file
        ? `train and ${split.name} are the same file`
        : `the files of train and ${split.name} have the same content`) +
        ', so metrics say how well training rows are remembered',
    ];
  }
  return overlapsMuch(split)
    ? [`${describeOverlap(split)}, which makes metrics better than on new rows`]
    : [];
}

/** The first names, and how many more there are. */
function nameSome(names: readonly string[], quote: (name: string) => string): string {
  const shown = names.length > NAMED + 1 ? names.slice(0, NAMED) : names;
  const more = names.length - shown.length;
  const quoted = shown.map(quote);
  if (more > 0) return `${quoted.join(', ')} and ${more} more`;
  return [quoted.slice(0, -1).join(', '), quoted.at(-1)!]
    .filter((part) => part !== '')
    .join(' and ');
}

/** A name in quotes, with escapes for what cannot be seen, so that look-alikes differ. */
function show(name: string): string {
  const cut = [...name].length > 40 ? `${[...name].slice(0, 39).join('')}…` : name;
  return JSON.stringify(cut).replace(
    /[\u0300-\u036f\p{Cf}]|(?! )\p{Zs}/gu,
    (invisible) => `\\u{${invisible.codePointAt(0)!.toString(16)}}`,
  );
}
