/** All task families, one line each, and lookups among them. */
import type { TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Benchmark, PublishedTask } from '../datasets/published';
import type { TaskFamily } from './family';
import { questions } from './questions/family';
import { rows } from './rows/family';
import { summaries } from './summaries/family';

/** In the order in which their tasks and options are listed. */
const REGISTERED = [rows, questions, summaries] as const;

export const FAMILIES: readonly TaskFamily[] = REGISTERED;

/** The families' part of a sweep's configuration: the settings of all of them together. */
export type FamilySettings = Together<(typeof REGISTERED)[number]>;
type Together<Family> = (
  Family extends TaskFamily<infer Settings> ? (settings: Settings) => void : never
) extends (settings: infer All) => void
  ? All
  : never;

const BY_KIND = new Map(
  FAMILIES.flatMap((family) => Object.keys(family.kinds).map((kind) => [kind, family] as const)),
);

/** The kinds of task, in the order of the families. */
export const KIND_NAMES: readonly string[] = [...BY_KIND.keys()];

/** Each kind with its value in the contract. */
export const CONTRACT_KINDS: Readonly<Record<string, { readonly proto: TaskKind }>> =
  Object.fromEntries(FAMILIES.flatMap(({ kinds }) => Object.entries(kinds)));

/** The family of a kind; throws a RangeError if there is none (schemas and plans are checked). */
export function findFamily(kind: string): TaskFamily {
  const family = BY_KIND.get(kind);
  if (family === undefined)
    throw new RangeError(`"${kind}" is not a task kind; must be one of ${KIND_NAMES.join(', ')}`);
  return family;
}

/** A kind's value in the contract; throws as findFamily does. */
export function contractKind(kind: string): TaskKind {
  return findFamily(kind).kinds[kind]!.proto;
}

const PUBLISHED = new Map(
  FAMILIES.flatMap(({ published }) => published).map((task) => [task.name, task]),
);

export const PUBLISHED_TASK_NAMES: readonly string[] = [...PUBLISHED.keys()];

/** The published task of that name; undefined for the user's own. */
export function findPublishedTask(name: string): PublishedTask | undefined {
  return PUBLISHED.get(name);
}

/** The published task of that name; throws a RangeError if there is none. */
export function publishedTask(name: string): PublishedTask {
  const task = PUBLISHED.get(name);
  if (task === undefined)
    throw new RangeError(
      `"${name}" is not a published task; must be one of ${PUBLISHED_TASK_NAMES.join(', ')}`,
    );
  return task;
}

/** The benchmarks that the published tasks belong to, each once. */
export const BENCHMARKS: readonly Benchmark[] = [
  ...new Set([...PUBLISHED.values()].map(({ benchmark }) => benchmark)),
];

/** `GLUE`, `SQuAD`, `GLUE or SQuAD`: what the demo rows of these tasks only imitate. */
export function nameBenchmarks(tasks: readonly string[]): string {
  const names = tasks.flatMap((task) => findPublishedTask(task)?.benchmark.name ?? []);
  return [...new Set(names)].join(' or ');
}
