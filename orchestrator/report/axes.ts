/** The training settings that a task's trials differ in: the axes of its table. Pure. */
import { stepsPerEpoch } from '../sweep/steps-per-epoch';
import type { AxisValues, PlannedDataset, Trial } from '../sweep/types';

/** A trial's training settings, by their keys in a sweep file. */
export type ReadSettings = (trial: Pick<Trial, 'train'>) => AxisValues;

/** In labels, where each word counts. */
const SHORT: Readonly<Record<string, string>> = { learning_rate: 'lr' };

/**
 * Returns a function that reads the settings of trials of one data set. The length is in steps if
 * all have equally many, else in epochs if all have whole ones: what is equal is no axis, whichever
 * of the two the user wrote.
 *
 * @param over keys of a search, whose length is told in the word that is searched
 */
export function settingsReader(
  trials: readonly Pick<Trial, 'train'>[],
  dataset: PlannedDataset,
  over: readonly string[] = [],
): ReadSettings {
  const epochs = ({ train: { total_steps, ...rest } }: Pick<Trial, 'train'>) =>
    total_steps / stepsPerEpoch(dataset, rest);
  const isEqual = new Set(trials.map(({ train }) => train.total_steps)).size <= 1;
  const isAsked = over.includes('epochs') || (!isEqual && !over.includes('steps'));
  const inEpochs = isAsked && trials.every((trial) => Number.isInteger(epochs(trial)));
  return (trial) => {
    const { total_steps, ...rest } = trial.train;
    return { ...rest, ...(inEpochs ? { epochs: epochs(trial) } : { steps: total_steps }) };
  };
}

/** The keys whose values differ, in the order in which they first appear. */
export function findVaried(settings: readonly AxisValues[]): string[] {
  const keys = [...new Set(settings.flatMap((each) => Object.keys(each)))];
  return keys.filter((key) => new Set(settings.map((each) => each[key])).size > 1);
}

/** These keys and their values; a key that is not there is left out. */
export function pickValues(settings: AxisValues, keys: readonly string[]): AxisValues {
  return Object.fromEntries(
    keys.flatMap((key) => (settings[key] === undefined ? [] : [[key, settings[key]]])),
  );
}

/** `learning rate`: the head of a column. */
export const axisTitle = (key: string): string => key.replaceAll('_', ' ');

/** `lr 0.001`. */
export function nameValue(key: string, value: number | string): string {
  return `${SHORT[key] ?? axisTitle(key)} ${formatValue(value)}`;
}

/** Four digits, as many as tell the values of a search at random apart. */
export function formatValue(value: number | string | undefined): string {
  if (value === undefined) return '–';
  return typeof value === 'string' ? value : String(Number(value.toPrecision(4)));
}

/** `lr 0.001, batch size 16`. */
export function nameValues(values: AxisValues): string {
  return Object.entries(values)
    .map(([key, value]) => nameValue(key, value))
    .join(', ');
}
