/** The tasks that a configuration names and whose files are published: where those are, in a data directory and on the hub. */
import { GLUE_TASK_NAMES, glueTask } from './glue-tasks';
import { isSquadTask, SQUAD_TASK_NAMES } from './squad-tasks';

export const PUBLISHED_TASK_NAMES = [...GLUE_TASK_NAMES, ...SQUAD_TASK_NAMES] as const;

export type Benchmark = 'GLUE' | 'SQuAD';

/** Paths by split. */
type Files = Record<string, string>;

export interface PublishedTask {
  name: string;
  benchmark: Benchmark;
  /** In a data directory, relative to the benchmark's folder. */
  files: Files;
  /** On the hub, relative to the repository. */
  hub: { repo: string; files: Files };
}

/** The folder of a data directory that may hold a benchmark's files, and what they are called there. */
export const BENCHMARKS: Record<Benchmark, { folder: string; names: string }> = {
  GLUE: { folder: 'glue', names: "GLUE's own folder names are" },
  SQuAD: { folder: 'squad', names: "SQuAD's own file names are" },
};

/** Of which benchmark a task is; the user's own are of none. */
export function benchmarkOf(task: string): Benchmark | null {
  if (isSquadTask(task)) return 'SQuAD';
  return (GLUE_TASK_NAMES as readonly string[]).includes(task) ? 'GLUE' : null;
}

/** The task of that name; throws a RangeError for any other word (configurations are checked before). */
export function publishedTask(name: string): PublishedTask {
  if (isSquadTask(name)) {
    const version = name === 'squad' ? 'v1.1' : 'v2.0';
    const folder = name === 'squad' ? 'plain_text' : 'squad_v2';
    return {
      name,
      benchmark: 'SQuAD',
      files: { train: `train-${version}.json`, validation: `dev-${version}.json` },
      hub: {
        repo: `rajpurkar/${name}`,
        files: { train: `${folder}/train-00000-of-00001.parquet`, validation: `${folder}/validation-00000-of-00001.parquet` },
      },
    };
  }
  const { folder, splits } = glueTask(name);
  return {
    name,
    benchmark: 'GLUE',
    files: Object.fromEntries(splits.map((split) => [split.name, `${folder}/${split.tsv}`])),
    hub: {
      repo: 'nyu-mll/glue',
      files: Object.fromEntries(splits.map((split) => [split.name, `${name}/${split.parquet}-00000-of-00001.parquet`])),
    },
  };
}

/** `GLUE`, `SQuAD`, `GLUE or SQuAD`: whose rows demo rows of these tasks are not. */
export function benchmarksOf(tasks: readonly string[]): string {
  return [...new Set(tasks.map(benchmarkOf))].filter((benchmark) => benchmark !== null).join(' or ');
}
