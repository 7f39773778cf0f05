/**
 * What a sweep file says of summaries: only where there are some, and lengths that fit one another.
 */
import type { Problem } from '../../base/errors';
import type { FoundTask } from '../../config/find-tasks';
import { formatPath } from '../../config/problems';
import { kindOf } from '../../config/resolve';
import type { SweepSettings } from '../../config/schema';
import type { SweepConfig } from '../../config/sweep-config';

const NEEDS_SUMMARIES = 'is of summarization alone, and no task here is one; must be left out';

/**
 * Every problem, where it is written.
 *
 * @param settings what the file, its profile and the command line say together
 * @param tasks those of the settings, with their own training settings
 * @param whereIs where a key of the settings is written
 */
export function checkSummaries(
  settings: Pick<SweepSettings, 'train' | 'max_target_length' | 'generation'>,
  tasks: readonly FoundTask[],
  { generation }: Pick<SweepConfig, 'generation'>,
  whereIs: (path: readonly string[]) => string,
): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: readonly string[], reason: string) =>
    problems.push({ where: whereIs(path), message: `${formatPath(path)}: ${reason}` });
  if (!tasks.some((task) => kindOf(task) === 'summarization')) {
    if (settings.train?.label_smoothing !== undefined)
      refuse(['train', 'label_smoothing'], NEEDS_SUMMARIES);
    if (settings.max_target_length !== undefined) refuse(['max_target_length'], NEEDS_SUMMARIES);
    if (settings.generation !== undefined) refuse(['generation'], NEEDS_SUMMARIES);
  }
  for (const task of tasks) {
    const kind = kindOf(task);
    if (task.train.label_smoothing === undefined || kind === 'summarization') continue;
    const noun = kind.replaceAll('_', ' ');
    refuse(
      ['tasks'],
      'label_smoothing is of summarization alone, and ' +
        `${task.name} is ${noun}; must be left out for it`,
    );
  }
  if (generation.min_length > generation.max_length) {
    const numbers = `min_length ${generation.min_length} is more than max_length ${generation.max_length}`;
    refuse(['generation'], `${numbers}; must be at most that`);
  }
  return problems;
}
