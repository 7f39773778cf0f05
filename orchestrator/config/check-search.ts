/** Checks a search against the axes and seeds of its sweep, once settings are merged. */
import type { Problem } from '../base/errors';
import { DEFAULT_SEEDS } from './defaults';
import type { FoundTask } from './find-tasks';
import { mergeTrain } from './merge-settings';
import { formatPath } from './problems';
import type { SweepSettings } from './schema';
import type { SweepSearch } from './sweep-config';
import { isRange, TRAIN_AXES, type TrainKeys } from './train-schema';

type Path = readonly PropertyKey[];

/**
 * Returns every problem with the place where the setting is written.
 *
 * @param tasks the tasks of these settings, each with its own training settings
 * @param whereIs returns the place where a key of the settings is written
 */
export function checkSearch(
  settings: SweepSettings,
  tasks: readonly FoundTask[],
  search: SweepSearch | null,
  whereIs: (path: Path) => string,
): Problem[] {
  const merged = listMerged(settings, tasks);
  const problems = new Map<string, Problem>();
  const refuse = (path: Path, reason: string) =>
    problems.set(formatPath(path), {
      where: whereIs(path),
      message: `${formatPath(path)}: ${reason}`,
    });
  for (const { keys, findPath } of merged) {
    for (const key of listRanges(keys)) {
      if (search?.random && search.over.includes(key)) continue;
      const reason =
        'a range is only for a search that draws from it; must be a list, or the file needs ' +
        `search: {over: [${key}], try: {random: 20}}`;
      refuse(findPath(key), reason);
    }
  }
  for (const key of search?.over ?? []) {
    if (merged.some(({ keys }) => hasSeveral(keys, key))) continue;
    const reason =
      `${key} has one value everywhere, so that there is nothing to search; must be a list ` +
      `under train, here or in a task or a line of compare`;
    refuse(['search', 'over'], reason);
  }
  if (settings.search && settings.search.over === undefined)
    refuse(['search', 'over'], 'is missing; must be keys of train, for example [learning_rate]');
  const { seeds = DEFAULT_SEEDS } = settings;
  const shared = search?.seeds.filter((seed) => seeds.includes(seed)) ?? [];
  if (shared.length > 0) {
    const said = `${shared.join(', ')} ${shared.length === 1 ? 'is a seed' : 'are seeds'}`;
    const reason =
      `${said} of the sweep, too; must be others, ` +
      'so that no choice is made by trials that are compared';
    refuse(['search', 'seeds'], reason);
  }
  return [...problems.values()];
}

/** The training settings of each line for each task, and where each of their keys is written. */
function listMerged(
  { train = {}, compare = [], ...rest }: SweepSettings,
  tasks: readonly FoundTask[],
) {
  const lines = compare.length === 0 ? [{ train: {} }] : compare;
  return tasks.flatMap((task, t) =>
    lines.map(({ train: own = {} }, i) => ({
      keys: mergeTrain(mergeTrain(train, task.train), own),
      findPath: (key: string): Path => {
        if (key in own) return ['compare', i, 'train', key];
        if (!(key in task.train)) return ['train', key];
        const written = rest.tasks?.[t];
        return ['tasks', t, written && 'kind' in written ? 'settings' : 'train', key];
      },
    })),
  );
}

function listRanges(keys: TrainKeys): string[] {
  return TRAIN_AXES.filter((key) => isRange((keys as Record<string, unknown>)[key]));
}

function hasSeveral(keys: TrainKeys, key: string): boolean {
  const axis = (keys as Record<string, unknown>)[key];
  return isRange(axis) || (Array.isArray(axis) && axis.length > 1);
}
