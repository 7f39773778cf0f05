/** What an extension adds to a sweep, for people to read before it runs. */
import { describeExtensions } from '../config/extension';
import { groupVariants } from '../report/variants';
import { adapterName } from '../sweep/adapters';
import { listExpectedTrials } from '../sweep/search';
import type { Extension, Plan } from '../sweep/types';
import { plural } from '../base/plural';
import type { OnProgress } from '../base/progress';
import { formatDuration } from './live-view';
import { countRemaining } from './remaining';

/** How many rows are listed. */
const LISTED = 12;

export interface Added {
  /** Of the table; the search's trials have rows of their own. */
  rows: { task: string; held_out: boolean; adapter: string; row: string; seeds: number[] }[];
  trials: number;
  /** Of them, how many are done by another sweep. */
  done: number;
  cohorts: number;
  /** Trials that were stopped early and go on. */
  stopped: number;
  /** Of training, as in Remaining. */
  estimated_seconds: number | null;
}

/**
 * What a plan has that another one lacks. A choice that is still to be made counts as if its first
 * candidate won.
 */
export async function describeAdded(before: Plan, after: Plan, root: string): Promise<Added> {
  const has = new Set(listExpectedTrials(before).map(({ id }) => id));
  const all = listExpectedTrials(after);
  const added = all.filter(({ id }) => !has.has(id));
  const ids = new Set(added.map(({ id }) => id));
  const rows = after.datasets.flatMap((dataset) => {
    const ofDataset = all.filter((trial) => trial.dataset === dataset.digest);
    return groupVariants(ofDataset, dataset, after.search?.over).flatMap(
      ({ trials, label, config }) => {
        const seeds = trials.filter(({ id }) => ids.has(id)).map(({ seed }) => seed);
        const held_out = dataset.held_out !== undefined;
        const adapter = adapterName(config.adapter);
        return seeds.length === 0
          ? []
          : [{ task: dataset.task, held_out, adapter, row: label, seeds }];
      },
    );
  });
  const alone = { ...after, trials: added, cohorts: [], search: undefined };
  const { done, seconds } = await countRemaining(alone, root);
  const cohorts = after.cohorts.filter(({ trials }) => trials.some((id) => ids.has(id))).length;
  const isLifted = before.search?.stop_early !== undefined && !after.search?.stop_early;
  const { stopped } = isLifted ? await countRemaining(before, root) : { stopped: 0 };
  return { rows, trials: added.length, done, cohorts, stopped, estimated_seconds: seconds };
}

export function sayAdded(
  { rows, trials, done, cohorts, stopped, estimated_seconds }: Added,
  extension: Extension,
  onProgress: OnProgress,
): void {
  onProgress('·', 'extends', `by ${describeExtensions([extension])}`);
  for (const { task, held_out, adapter, row, seeds } of rows.slice(0, LISTED)) {
    const where = held_out ? `${task}, held out` : task;
    onProgress(
      '·',
      where,
      `${row}, ${adapter}: ${plural(seeds.length, 'trial')}, ${listSeeds(seeds)}`,
    );
  }
  if (stopped > 0)
    onProgress('·', 'search', `${plural(stopped, 'trial')} that stopped early to go on to the end`);
  if (trials === 0) return;
  if (rows.length > LISTED) onProgress('·', '…', `${plural(rows.length - LISTED, 'further row')}`);
  const already = done > 0 ? [`${done} done already`] : [];
  const time =
    estimated_seconds === null
      ? 'time unknown until one trial of each task has run here'
      : `about ${formatDuration(estimated_seconds)} of training`;
  // Those of a choice that is still to be made have no cohort yet.
  const size =
    plural(trials, 'new trial') + (cohorts > 0 ? ` in ${plural(cohorts, 'cohort')}` : '');
  onProgress('·', 'to run', [size, ...already, time].join(', '));
}

const listSeeds = (seeds: readonly number[]): string =>
  `${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}`;
