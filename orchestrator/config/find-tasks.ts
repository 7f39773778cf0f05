/**
 * From the tasks as they are written to tasks with their files: what a name alone stands for. Pure.
 */
import { dirname, resolve } from 'node:path';
import type { OwnTask } from '../tasks/family';
import { findFamily, publishedTask } from '../tasks/registry';
import { mergeTrain } from './merge-settings';
import type { DescribedTask, NamedTask, TrainKeys } from './task-schema';

/** A task as it is run; its training settings are not complete yet. */
export interface FoundTask {
  name: string;
  /** A kind of a task family. */
  kind: string;
  train: TrainKeys;
  /** null for a published task. */
  own: OwnTask | null;
}

/**
 * Makes tasks of what is written.
 *
 * @param written the tasks that are to run
 * @param described those that the file's own `tasks` describe; a name alone stands for the one
 *   there
 * @param file the sweep file, which paths are relative to; null: relative to the working directory
 * @param nameOrigin where a task is described, for messages
 */
export function findTasks(
  written: readonly (NamedTask | DescribedTask)[],
  described: readonly (NamedTask | DescribedTask)[],
  file: string | null,
  nameOrigin: (task: DescribedTask) => string,
): FoundTask[] {
  const folder = file === null ? '.' : dirname(file);
  return written.map((task): FoundTask => {
    const over = 'kind' in task ? {} : (task.train ?? {});
    const description =
      'kind' in task
        ? task
        : described.filter((each) => 'kind' in each).find(({ name }) => name === task.name);
    if (description === undefined) {
      const { kind } = publishedTask(task.name);
      return { name: task.name, kind, train: over, own: null };
    }
    const { name, kind, train, validation, settings } = description;
    const place = {
      origin: nameOrigin(description),
      files: { train: resolve(folder, train), validation: resolve(folder, validation) },
    };
    const own = findFamily(kind).ownTasks.complete(description, place);
    return { name, kind, train: mergeTrain(settings ?? {}, over), own };
  });
}
