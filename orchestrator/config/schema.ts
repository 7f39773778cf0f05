/** The sweep file's shape. */
import { z } from 'zod';
import { adapter, compareLine } from './compare-schema';
import { count, list, map, text, whole } from './schema-parts';
import { identifier, taskSchema, train } from './task-schema';

const rows = z.union([count, z.literal('all')], { error: 'a whole number of at least 1, or all' });

const seeds = list(whole(0, Number.MAX_SAFE_INTEGER)).refine((value) => new Set(value).size === value.length, {
  error: 'a list of different seeds',
});

/** What a sweep file and each of its profiles may say. */
const settings = (ownNames: readonly string[]) => ({
  backbone: text.optional(),
  tasks: list(taskSchema(ownNames)).optional(),
  adapter: adapter.optional(),
  compare: list(compareLine).optional(),
  seeds: seeds.optional(),
  rows: rows.optional(),
  validation_rows: rows.optional(),
  max_length: whole(8, 8192).optional(),
  train: train.optional(),
});

/** Of what a command's flags say. `ownNames`: the file's tasks that they may name beside GLUE's. */
export const settingsSchema = (ownNames: readonly string[]) => map(settings(ownNames));

export const documentSchema = (ownNames: readonly string[]) =>
  map({
    name: identifier.optional(),
    ...settings(ownNames),
    profiles: z
      .record(z.string(), map({ description: z.string({ error: 'a text' }).optional(), ...settings(ownNames) }), {
        error: 'a map of names to settings',
      })
      .optional(),
  });

/** The values of a sweep file, a profile or a command's flags; nothing filled in yet. */
export type SweepSettings = z.output<ReturnType<typeof settingsSchema>>;
export type SweepDocument = z.output<ReturnType<typeof documentSchema>>;
/** The same as a user may write them: single values for lists, task names for tasks. */
export type SweepSettingsInput = { [Key in keyof SweepSettings]?: unknown };
