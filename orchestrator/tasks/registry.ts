/** Every task family, a line each, and what is found among them. */
import type { TaskKind } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Benchmark, PublishedTask } from '../datasets/published';
import type { TaskFamily } from './family';
import { questions } from './questions/family';
import { rows } from './rows/family';
import { summaries } from './summaries/family';

/** In the order in which their tasks and options are listed. */
const REGISTERED = [rows, questions, summaries] as const;

export const FAMILIES: readonly TaskFamily[] = REGISTERED;

/** What a sweep's configuration has for the families: the settings of each, together. */
export type FamilySettings = Together<(typeof REGISTERED)[number]>;
type Together<Family> = (
  Family extends TaskFamily<infer Settings> ? (settings: Settings) => void : never
) extends (settings: infer All) => void
  ? All
  : never;

const BY_KIND = new Map(
  FAMILIES.flatMap((family) => Object.keys(family.kinds).map((kind) => [kind, family] as const)),
);

/** What may be learned, in the order of the families. */
export const KIND_NAMES: readonly string[] = [...BY_KIND.keys()];

/** Each kind with its value in the contract. */
export const CONTRACT_KINDS: Readonly<Record<string, { readonly proto: TaskKind }>> =
  Object.fromEntries(FAMILIES.flatMap(({ kinds }) => Object.entries(kinds)));

/** The family of a kind; throws a RangeError for any other word (schema and plan are checked). */
export function findFamily(kind: string): TaskFamily {
  const family = BY_KIND.get(kind);
  if (family === undefined)
    throw new RangeError(`"${kind}" is no kind of task; there are ${KIND_NAMES.join(', ')}`);
  return family;
}

/** The contract's word for a kind; throws as findFamily. */
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

/** Throws a RangeError for any other word (configurations are checked before). */
export function publishedTask(name: string): PublishedTask {
  const task = PUBLISHED.get(name);
  if (task === undefined)
    throw new RangeError(
      `"${name}" is not published; there are ${PUBLISHED_TASK_NAMES.join(', ')}`,
    );
  return task;
}

/** Whose rows the published tasks have, each once. */
export const BENCHMARKS: readonly Benchmark[] = [
  ...new Set([...PUBLISHED.values()].map(({ benchmark }) => benchmark)),
];

/** `GLUE`, `SQuAD`, `GLUE or SQuAD`: whose rows demo rows of these tasks are not. */
export function nameBenchmarks(tasks: readonly string[]): string {
  const names = tasks.flatMap((task) => findPublishedTask(task)?.benchmark.name ?? []);
  return [...new Set(names)].join(' or ');
}
