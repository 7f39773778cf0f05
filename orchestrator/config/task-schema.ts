/** The tasks of a sweep file: those of GLUE by their names, and the user's own with their files and columns. */
import { z } from 'zod';
import { GLUE_TASK_NAMES } from '../data/glue-tasks';
import { choice, chosenBy, count, fraction, list, map, notNegative, positive, text, whole } from './schema-parts';

/** What a task of one's own may be measured by. */
export const OWN_TASK_METRICS = {
  classification: ['accuracy', 'macro_f1', 'f1', 'matthews'],
  regression: ['pearson', 'spearman'],
} as const;

export const train = map({
  epochs: count.optional(),
  steps: count.optional(),
  batch_size: whole(1, 65536).optional(),
  learning_rate: positive.optional(),
  weight_decay: notNegative.optional(),
  warmup: fraction.optional(),
  schedule: choice(['linear', 'constant']).optional(),
  max_grad_norm: notNegative.optional(),
  adam_beta1: fraction.optional(),
  adam_beta2: fraction.optional(),
  adam_epsilon: positive.optional(),
  dropout: fraction.optional(),
  attention_dropout: fraction.optional(),
}).refine((value) => value.epochs === undefined || value.steps === undefined, { error: 'a map with epochs or steps, not both' });

/** Names of sweeps and tasks: they become parts of file names. */
export const identifier = z.string({ error: 'a text' }).regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'up to 40 of a–z, 0–9 and -');

const file = (more: string) => {
  const error = `the path of a .csv, .tsv, .jsonl or .parquet file${more}`;
  return z.string({ error }).regex(/.\.(csv|tsv|jsonl|parquet)$/i, { error });
};

const ownKeys = map({
  name: identifier.refine((name) => !(GLUE_TASK_NAMES as readonly string[]).includes(name), {
    error: 'another name: a task with a kind and files of its own may not have the name of a GLUE task',
  }),
  kind: choice(['classification', 'regression']),
  train: file('; the training settings of a task with files of its own are under settings'),
  validation: file(''),
  text: list(text).refine((names) => names.length <= 2 && new Set(names).size === names.length, {
    error: 'the name of a column, or a list of two different ones',
  }),
  label: text,
  metrics: list(z.string({ error: 'a text' })).optional(),
  settings: train.optional(),
});

const ownTask = ownKeys.superRefine((task, context) => {
  const problem = (path: PropertyKey[], message: string) => context.addIssue({ code: 'custom', path, message });
  if (task.text.includes(task.label)) problem(['label'], 'a column that is not among text');
  const allowed: readonly string[] = OWN_TASK_METRICS[task.kind];
  for (const [i, name] of (task.metrics ?? []).entries()) {
    if (!allowed.includes(name)) problem(['metrics', i], `one of ${allowed.join(', ')}`);
  }
  if (new Set(task.metrics).size < (task.metrics ?? []).length) problem(['metrics'], 'a list of different metrics');
});

/** Any of these keys, or a file to train on, makes a task the user's own: what is missing is then asked for in its words. */
const OWN_ONLY = ['kind', 'validation', 'text', 'label', 'metrics', 'settings'];

function isOwn(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return OWN_ONLY.some((key) => Object.hasOwn(value, key)) || typeof (value as { train?: unknown }).train === 'string';
}

/**
 * A task by its name, alone or with training settings, or the user's own in full.
 *
 * @param ownNames tasks that the file's own `tasks` describe in full: profiles and flags may name them
 */
export function taskSchema(ownNames: readonly string[]) {
  const namedTask = map({ name: choice([...GLUE_TASK_NAMES, ...ownNames]), train: train.optional() });
  return z
    .unknown()
    .transform((value) => (typeof value === 'string' ? { name: value } : value))
    .pipe(chosenBy((value): z.ZodType<NamedTask | OwnTask> => (isOwn(value) ? ownTask : namedTask)));
}

/** The names of the tasks that a document describes in full, before it is checked. */
export function ownTaskNames(document: unknown): string[] {
  const { tasks } = (document ?? {}) as { tasks?: unknown };
  const own = [tasks].flat().filter((task): task is { name?: unknown } => isOwn(task));
  return own.map(({ name }) => name).filter((name) => typeof name === 'string');
}

export type TrainKeys = z.output<typeof train>;
export interface NamedTask {
  name: string;
  train?: TrainKeys | undefined;
}
export type OwnTask = z.output<typeof ownTask>;
