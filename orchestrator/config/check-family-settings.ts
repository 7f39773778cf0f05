/**
 * Checks the settings that belong to one task family: the sweep must have such a task, and their
 * values must fit together.
 */
import type { Problem } from '../base/errors';
import type { TaskFamily } from '../tasks/family';
import { FAMILIES, findFamily } from '../tasks/registry';
import type { FoundTask } from './find-tasks';
import { formatPath } from './problems';
import { isWritten } from './merge-settings';
import type { SweepSettings } from './schema';
import type { SweepConfig } from './sweep-config';

/**
 * Returns every problem with the place where the setting is written.
 *
 * @param settings the file's settings, with profile and command line merged in
 * @param tasks the tasks of these settings, each with its own training settings
 * @param whereIs returns the place where a key of the settings is written
 */
export function checkFamilySettings(
  settings: SweepSettings,
  tasks: readonly FoundTask[],
  config: SweepConfig,
  whereIs: (path: readonly PropertyKey[]) => string,
): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: readonly PropertyKey[], reason: string) =>
    problems.push({ where: whereIs(path), message: `${formatPath(path)}: ${reason}` });
  for (const family of FAMILIES) {
    const others = tasks.filter(({ kind }) => findFamily(kind) !== family);
    if (others.length === tasks.length) {
      const paths = [
        ...family.settings.refusedElsewhere,
        ...listLineKeys(settings, Object.keys(family.settings.trainKeys)),
      ];
      for (const path of paths.filter(
        (path) =>
          isWritten(settings, path) &&
          !(settings.compat === 'official' && path.at(-1) === 'label_smoothing'),
      ))
        refuse(
          path,
          `applies only to ${nameKinds(family)}; remove it, this sweep has no such task`,
        );
    }
    for (const { name, kind, train } of others) {
      for (const key of Object.keys(family.settings.trainKeys)) {
        if (!isWritten(train, [key])) continue;
        // The published trainer smooths the labels of any classes.
        if (settings.compat === 'official' && key === 'label_smoothing') continue;
        refuse(
          ['tasks'],
          `${key} applies only to ${nameKinds(family)}; remove it from ${name}, which is ` +
            kind.replaceAll('_', ' '),
        );
      }
    }
    const contradiction = family.settings.findContradiction(config);
    if (contradiction !== null) refuse(contradiction.path, contradiction.reason);
  }
  return problems;
}

/** Where lines of `compare` may have these keys of `train`. */
function listLineKeys({ compare = [] }: SweepSettings, keys: readonly string[]): PropertyKey[][] {
  return compare.flatMap((_, i) => keys.map((key) => ['compare', i, 'train', key]));
}

function nameKinds({ kinds }: TaskFamily): string {
  return Object.keys(kinds)
    .map((kind) => kind.replaceAll('_', ' '))
    .join(' and ');
}
