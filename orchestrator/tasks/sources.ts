import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError } from '../base/errors';
import { fetchParquet, HubUnreachable } from '../datasets/hub';
import type { PublishedTask } from '../datasets/published';
import type { TaskSource } from './family';
import { nameBenchmarks } from './registry';

export interface SourceOptions {
  /** `--data-dir`; takes precedence over SA_ORCH_DATA. */
  dataDir?: string | null;
  env: NodeJS.ProcessEnv;
  /** Called once, with the reason, if rows are generated. */
  onNotice?: (text: string) => void;
}

/**
 * Finds each task's rows: in the user's directory, else on the hub, else generated. A directory
 * that lacks a task's files is an error, because rows from another source would be a surprise.
 */
export async function findSources(
  tasks: readonly PublishedTask[],
  { dataDir, env, onNotice }: SourceOptions,
): Promise<TaskSource[]> {
  if (dataDir) {
    return findInDirectory('--data-dir', dataDir, tasks);
  }
  if (env.SA_ORCH_DATA) {
    return findInDirectory('SA_ORCH_DATA', env.SA_ORCH_DATA, tasks);
  }
  try {
    const sources: TaskSource[] = [];
    for (const task of tasks) {
      sources.push({ source: 'hub', files: await fetchParquet(task, env) });
    }
    return sources;
  } catch (error) {
    if (!(error instanceof HubUnreachable)) throw error;
    const names = nameBenchmarks(tasks.map(({ name }) => name));
    onNotice?.(
      'no data directory is given and ' +
        `${error.message}: demo rows are generated, which are not ${names}`,
    );
    return tasks.map(({ files }) => ({ source: 'demo', files: mapValues(files, () => null) }));
  }
}

/**
 * The directory contains the benchmark's folders or files (CoLA, MRPC, …; train-v1.1.json), or a
 * folder `glue`, `squad`, … that does.
 */
function findInDirectory(
  flag: string,
  directory: string,
  tasks: readonly PublishedTask[],
): TaskSource[] {
  const found = tasks.map((task) => {
    const own = join(directory, task.benchmark.folder);
    const base = existsSync(own) ? own : directory;
    const findFirst = (names: readonly string[]) =>
      names.map((name) => resolve(base, name)).find(existsSync) ?? resolve(base, names[0]!);
    return { task, files: mapValues(task.files, findFirst) };
  });
  const missing = found.flatMap(({ task, files }) =>
    Object.values(files)
      .filter((path) => !existsSync(path))
      .map((path) => ({ task, path })),
  );
  if (missing.length > 0) {
    throw new ConfigError(
      missing.map(({ task: { name, benchmark }, path }) => ({
        where: `${flag} ${directory}`,
        message:
          `has no ${path}, which task ${name} needs; must contain ${benchmark.names}, ` +
          `directly or under ${benchmark.folder}/`,
      })),
    );
  }
  return found.map(({ files }) => ({ source: 'files', files }));
}

function mapValues<From, To>(
  files: Record<string, From>,
  change: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(files).map(([split, value]) => [split, change(value)]));
}
