/**
 * What a sweep file says for the tasks of one family: only where there are some, and values that
 * fit one another.
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
 * Every problem, where it is written.
 *
 * @param settings what the file, its profile and the command line say together
 * @param tasks those of the settings, with their own training settings
 * @param whereIs where a key of the settings is written
 */
export function checkFamilySettings(
  settings: SweepSettings,
  tasks: readonly FoundTask[],
  config: SweepConfig,
  whereIs: (path: readonly string[]) => string,
): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: readonly string[], reason: string) =>
    problems.push({ where: whereIs(path), message: `${formatPath(path)}: ${reason}` });
  for (const family of FAMILIES) {
    const others = tasks.filter(({ kind }) => findFamily(kind) !== family);
    if (others.length === tasks.length) {
      for (const path of family.settings.refusedElsewhere.filter((path) =>
        isWritten(settings, path),
      ))
        refuse(path, `is of ${nameKinds(family)} alone, and no task here is one; must be left out`);
    }
    for (const { name, kind, train } of others) {
      for (const key of Object.keys(family.settings.trainKeys)) {
        if (!isWritten(train, [key])) continue;
        const whose =
          `is of ${nameKinds(family)} alone, ` + `and ${name} is ${kind.replaceAll('_', ' ')}`;
        refuse(['tasks'], `${key} ${whose}; must be left out for it`);
      }
    }
    const contradiction = family.settings.findContradiction(config);
    if (contradiction !== null) refuse(contradiction.path, contradiction.reason);
  }
  return problems;
}

function nameKinds({ kinds }: TaskFamily): string {
  return Object.keys(kinds)
    .map((kind) => kind.replaceAll('_', ' '))
    .join(' and ');
}
