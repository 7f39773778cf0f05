import { ConfigError } from '../base/errors';
import { suggestion } from '../base/suggest';
import type { Score, ScoreOption, ScoreRequest } from './family';
import { FAMILIES, findFamily, findPublishedTask, PUBLISHED_TASK_NAMES } from './registry';

export const SCORE_OPTIONS: readonly ScoreOption[] = FAMILIES.flatMap(({ score }) => score.options);

/**
 * Computes the official metrics of a published task for predictions from any source.
 *
 * @throws ConfigError with the file and the line, place or id of what is wrong
 */
export async function scoreTask(request: ScoreRequest): Promise<Score> {
  const { task } = request;
  const published = findPublishedTask(task);
  if (published === undefined) {
    const known = `${PUBLISHED_TASK_NAMES.join(', ')}${suggestion(task, PUBLISHED_TASK_NAMES)}`;
    throw new ConfigError({
      where: '--task',
      message: `"${task}" is not a published task; must be one of ${known}`,
    });
  }
  for (const option of SCORE_OPTIONS) {
    const { flags, key, tasks, reason } = option;
    if (!option.isGiven(request[key]) || tasks.includes(task)) continue;
    throw new ConfigError({
      where: flags.split(' ')[0]!,
      message: `applies only to ${tasks.join(' and ')}, ${reason}; remove it for ${task}`,
    });
  }
  return findFamily(published.kind).score.run(request);
}
