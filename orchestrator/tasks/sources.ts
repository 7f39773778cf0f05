import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError } from '../base/errors';
import { digestOf } from '../sweep/identity';
import { demoRows } from './rows/demo-rows';
import { readGlueTsv } from './rows/glue-tsv';
import type { GlueTask } from './rows/published';
import { fetchParquet, HubUnreachable, readGlueParquet } from '../datasets/hub';
import { BENCHMARKS, benchmarksOf, type PublishedTask } from '../datasets/published';
import type { Row } from '../datasets/choose-rows';

/** Where a task's rows come from. */
export interface TaskSource {
  source: 'files' | 'hub' | 'demo';
  /** The file of each split by name; null for generated rows. */
  files: Record<string, string | null>;
}

export interface SourceOptions {
  /** `--data-dir`; goes before SA_ORCH_DATA. */
  dataDir?: string | null;
  env: NodeJS.ProcessEnv;
  /** Told once why rows are generated, where they are. */
  onNotice?: (text: string) => void;
}

/**
 * Where each task's rows are: the user's directory, else the hub, else generated. A directory that
 * is given and does not have a task's files is an error: rows of another source in their place
 * would be a surprise.
 */
export async function findSources(
  tasks: readonly PublishedTask[],
  { dataDir, env, onNotice }: SourceOptions,
): Promise<TaskSource[]> {
  if (dataDir) {
    return inDirectory('--data-dir', dataDir, tasks);
  }
  if (env.SA_ORCH_DATA) {
    return inDirectory('SA_ORCH_DATA', env.SA_ORCH_DATA, tasks);
  }
  try {
    const sources: TaskSource[] = [];
    for (const task of tasks) {
      sources.push({ source: 'hub', files: await fetchParquet(task, env) });
    }
    return sources;
  } catch (error) {
    if (!(error instanceof HubUnreachable)) throw error;
    const names = benchmarksOf(tasks.map(({ name }) => name));
    onNotice?.(
      'no data directory is given and ' +
        `${error.message}: demo rows are generated, which are not ${names}`,
    );
    return tasks.map(({ files }) => ({ source: 'demo', files: mapValues(files, () => null) }));
  }
}

/**
 * The directory holds a benchmark's folders and files (CoLA, MRPC, …; train-v1.1.json), or a folder
 * `glue`, `squad`, … that does.
 */
function inDirectory(
  flag: string,
  directory: string,
  tasks: readonly PublishedTask[],
): TaskSource[] {
  const found = tasks.map((task) => {
    const own = join(directory, BENCHMARKS[task.benchmark].folder);
    const base = existsSync(own) ? own : directory;
    const thereOf = (names: readonly string[]) =>
      names.map((name) => resolve(base, name)).find(existsSync) ?? resolve(base, names[0]!);
    return { task, files: mapValues(task.files, thereOf) };
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
        message: `has no ${path}, which task ${name} needs; ${BENCHMARKS[benchmark].names} expected, here or under ${BENCHMARKS[benchmark].folder}/`,
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

/** The rows of a split of a task of GLUE. */
export function readRows(
  task: GlueTask,
  split: { name: string; file: string | null },
): Promise<Row[]> {
  if (split.file === null) {
    return Promise.resolve(demoRows(task, split.name));
  }
  return split.file.endsWith('.parquet')
    ? readGlueParquet(split.file, task)
    : Promise.resolve(readGlueTsv(split.file, task));
}

/** Hex SHA-256 of what such a split is read from. */
export function sourceDigest(task: GlueTask, split: { name: string; file: string | null }): string {
  return split.file === null ? digestOf(demoRows(task, split.name)) : fileDigest(split.file);
}

/** Hex SHA-256 of a file's content. */
export function fileDigest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
