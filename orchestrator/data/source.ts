import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError } from '../config/errors';
import { digestOf } from '../sweep/identity';
import { demoRows } from './demo';
import { readGlueTsv } from './glue-tsv';
import type { GlueTask } from './glue-tasks';
import { fetchGlueParquet, HubUnreachable, readGlueParquet } from './hub';
import type { Row } from './rows';

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
 * Where each task's rows are: the user's directory, else the hub, else generated. A directory that is given and does not have a
 * task's files is an error: rows of another source in their place would be a surprise.
 */
export async function findSources(tasks: readonly GlueTask[], { dataDir, env, onNotice }: SourceOptions): Promise<TaskSource[]> {
  if (dataDir) {
    return inDirectory('--data-dir', dataDir, tasks);
  }
  if (env.SA_ORCH_DATA) {
    return inDirectory('SA_ORCH_DATA', env.SA_ORCH_DATA, tasks);
  }
  try {
    const sources: TaskSource[] = [];
    for (const task of tasks) {
      sources.push({ source: 'hub', files: await fetchGlueParquet(task, env) });
    }
    return sources;
  } catch (error) {
    if (!(error instanceof HubUnreachable)) throw error;
    onNotice?.(`no data directory is given and ${error.message}: demo rows are generated, which are not GLUE`);
    return tasks.map((task) => ({ source: 'demo', files: Object.fromEntries(task.splits.map((split) => [split.name, null])) }));
  }
}

/** The directory holds GLUE's folders (CoLA, MRPC, …), or a folder `glue` that does. */
function inDirectory(flag: string, directory: string, tasks: readonly GlueTask[]): TaskSource[] {
  const base = existsSync(join(directory, 'glue')) ? join(directory, 'glue') : directory;
  const wanted = tasks.flatMap((task) => task.splits.map((split) => ({ task, path: resolve(base, task.folder, split.tsv) })));
  const missing = wanted.filter(({ path }) => !existsSync(path));
  if (missing.length > 0) {
    throw new ConfigError(
      missing.map(({ task, path }) => ({
        where: `${flag} ${directory}`,
        message: `has no ${path}, which task ${task.name} needs; GLUE's own folder names are expected, here or under glue/`,
      })),
    );
  }
  return tasks.map((task) => ({
    source: 'files',
    files: Object.fromEntries(task.splits.map((split) => [split.name, resolve(base, task.folder, split.tsv)])),
  }));
}

/** The rows of a split. */
export function readRows(task: GlueTask, split: { name: string; file: string | null }): Promise<Row[]> {
  if (split.file === null) {
    return Promise.resolve(demoRows(task, split.name));
  }
  return split.file.endsWith('.parquet') ? readGlueParquet(split.file, task) : Promise.resolve(readGlueTsv(split.file, task));
}

/** Hex SHA-256 of what a split is read from. */
export function sourceDigest(task: GlueTask, split: { name: string; file: string | null }): string {
  return split.file === null ? digestOf(demoRows(task, split.name)) : fileDigest(split.file);
}

/** Hex SHA-256 of a file's content. */
export function fileDigest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
