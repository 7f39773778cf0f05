/** The sweep file's shape. */
import { z } from 'zod';
import { GLUE_TASK_NAMES } from '../data/glue-tasks';
import { adapter, compareLine } from './compare-schema';
import { choice, count, fraction, list, map, notNegative, positive, text, whole } from './schema-parts';

const rows = z.union([count, z.literal('all')], { error: 'a whole number of at least 1, or all' });
const train = map({
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

const task = z.preprocess(
  (value) => (typeof value === 'string' ? { name: value } : value),
  map({ name: choice(GLUE_TASK_NAMES), train: train.optional() }),
);

const seeds = list(whole(0, Number.MAX_SAFE_INTEGER)).refine((value) => new Set(value).size === value.length, {
  error: 'a list of different seeds',
});

/** What a sweep file and each of its profiles may say. */
const settings = {
  backbone: text.optional(),
  tasks: list(task).optional(),
  adapter: adapter.optional(),
  compare: list(compareLine).optional(),
  seeds: seeds.optional(),
  rows: rows.optional(),
  validation_rows: rows.optional(),
  max_length: whole(8, 8192).optional(),
  train: train.optional(),
};

export const settingsSchema = map(settings);

export const documentSchema = map({
  name: z
    .string({ error: 'a text' })
    .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'up to 40 of a–z, 0–9 and -')
    .optional(),
  ...settings,
  profiles: z
    .record(z.string(), map({ description: z.string({ error: 'a text' }).optional(), ...settings }), {
      error: 'a map of names to settings',
    })
    .optional(),
});

/** The values of a sweep file, a profile or a command's flags; nothing filled in yet. */
export type SweepSettings = z.output<typeof settingsSchema>;
export type SweepDocument = z.output<typeof documentSchema>;
/** The same as a user may write them: single values for lists, task names for tasks. */
export type SweepSettingsInput = { [Key in keyof SweepSettings]?: unknown };
