/**
 * Resolves the tasks as they are written: finds what a bare name refers to, and its files. Pure.
 */
import { dirname, resolve } from 'node:path';
import type { OwnTask } from '../tasks/family';
import { findFamily, publishedTask } from '../tasks/registry';
import { mergeTrain } from './merge-settings';
import type { DescribedTask, NamedTask } from './task-schema';
import type { TrainKeys } from './train-schema';

/** A resolved task, whose training settings have no defaults yet. */
export interface FoundTask {
  name: string;
  /** A kind of a task family. */
  kind: string;
  train: TrainKeys;
  /** null for a published task. */
  own: OwnTask | null;
}

/**
 * Resolves the tasks of a sweep.
 *
 * @param written the tasks to run
 * @param described the entries of the file's own `tasks`, to which a bare name may refer
 * @param file the sweep file, which paths are relative to; null: relative to the working directory
 * @param nameOrigin returns the place where a task is described, for messages
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
