/**
 * The tasks of a sweep file: published ones by name, and the user's own with files and columns.
 */
import { z } from 'zod';
import { nearest } from '../base/suggest';
import type { TaskFamily, WrittenOwnTask } from '../tasks/family';
import { FAMILIES, findFamily, KIND_NAMES, PUBLISHED_TASK_NAMES } from '../tasks/registry';
import { chosenBy, list, map } from './schema-parts';
import { train, type TrainKeys } from './train-schema';

/** Names of sweeps and tasks, which become parts of file names. */
export const identifier = z
  .string({ error: 'a string' })
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'up to 40 of a–z, 0–9 and -');

function file(formats: readonly string[], more: string) {
  const endings = formats.map((format) => `.${format}`);
  const error = `the path of a ${endings.slice(0, -1).join(', ')} or ${endings.at(-1)} file${more}`;
  return z.string({ error }).regex(new RegExp(`.\\.(${formats.join('|')})$`, 'i'), { error });
}
const SETTINGS_ELSEWHERE = '; training settings of a task with its own files go under settings';

const ownName = identifier.refine((name) => !PUBLISHED_TASK_NAMES.includes(name), {
  error:
    'a different name: a task with its own kind and files cannot have the name of a published ' +
    'task',
});
const metricNames = list(z.string({ error: 'a string' })).optional();

/** The schema of a task with the user's own files, by its family. */
const OWN_TASKS = new Map(FAMILIES.map((family) => [family, describeOwnTask(family)]));

function describeOwnTask({ kinds, ownTasks }: TaskFamily): z.ZodType<DescribedTask> {
  return map({
    name: ownName,
    kind: z.enum(Object.keys(kinds), { error: `one of ${KIND_NAMES.join(', ')}` }),
    train: file(ownTasks.formats, SETTINGS_ELSEWHERE),
    validation: file(ownTasks.formats, ''),
    ...ownTasks.columns,
    metrics: metricNames,
    settings: train.optional(),
  }).superRefine((task: DescribedTask, context) => {
    ownTasks.check(task, (key, reason) => refuse(context, [key], reason));
    checkMetrics(task, kinds[task.kind]!.metrics, context);
  });
}

function refuse(context: z.RefinementCtx, path: PropertyKey[], message: string): void {
  context.addIssue({ code: 'custom', path, message });
}

function checkMetrics(
  task: DescribedTask,
  allowed: readonly string[],
  context: z.RefinementCtx,
): void {
  for (const [i, name] of (task.metrics ?? []).entries()) {
    if (!allowed.includes(name)) refuse(context, ['metrics', i], `one of ${allowed.join(', ')}`);
  }
  if (new Set(task.metrics).size < (task.metrics ?? []).length)
    refuse(context, ['metrics'], 'a list of different metrics');
}

/**
 * Any of these keys, or a file to train on, marks a task as the user's own, so that missing keys
 * are reported as those of such a task.
 */
const OWN_ONLY = [
  'kind',
  'validation',
  ...FAMILIES.flatMap(({ ownTasks }) => Object.keys(ownTasks.columns)),
  'metrics',
  'settings',
];

function isOwn(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return (
    OWN_ONLY.some((key) => Object.hasOwn(value, key)) ||
    typeof (value as { train?: unknown }).train === 'string'
  );
}

/**
 * A task given by name, with or without training settings, or the user's own in full.
 *
 * @param ownNames tasks that the file's own `tasks` describe in full, which profiles and flags may
 *   name
 */
export function taskSchema(ownNames: readonly string[]) {
  const names = [...PUBLISHED_TASK_NAMES, ...ownNames];
  const namedTask = map({
    name: z.enum(names, {
      error: ({ input }) => `one of ${names.join(', ')}${describeOwn(input, names)}`,
    }),
    train: train.optional(),
  });
  return z
    .unknown()
    .transform((value) => (typeof value === 'string' ? { name: value } : value))
    .pipe(
      chosenBy((value): z.ZodType<NamedTask | DescribedTask> =>
        isOwn(value) ? chooseSchema(value) : namedTask,
      ),
    );
}

/** How a task of that name would be described, unless the name is that of one, mistyped. */
function describeOwn(name: unknown, known: readonly string[]): string {
  if (typeof name === 'string' && nearest(name, known) !== null) return '';
  const own = typeof name === 'string' && identifier.safeParse(name).success ? name : 'tickets';
  return (
    `; rows of your own are described in the sweep file: tasks: [{name: ${own}, kind: ` +
    'classification, train: train.csv, validation: dev.csv, text: text, label: label}]'
  );
}

/** Problems of a task of unknown kind are reported by the schema of the first family. */
function chooseSchema(value: unknown): z.ZodType<DescribedTask> {
  const { kind } = value as { kind?: unknown };
  const known = typeof kind === 'string' && KIND_NAMES.includes(kind);
  return OWN_TASKS.get(known ? findFamily(kind) : FAMILIES[0]!)!;
}

/** The names of the tasks that a document describes in full, before it is checked. */
export function ownTaskNames(document: unknown): string[] {
  const { tasks } = (document ?? {}) as { tasks?: unknown };
  const own = [tasks].flat().filter((task): task is { name?: unknown } => isOwn(task));
  return own.map(({ name }) => name).filter((name) => typeof name === 'string');
}

export interface NamedTask {
  name: string;
  train?: TrainKeys | undefined;
}
/** A task with the user's own files, as written in the sweep file. */
export interface DescribedTask extends WrittenOwnTask {
  settings?: TrainKeys | undefined;
}
