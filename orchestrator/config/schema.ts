/** The sweep file's shape. */
import { z } from 'zod';
import { FAMILIES, type FamilySettings } from '../tasks/registry';
import { PRECISION_NAMES } from '../../common/vocabulary/precisions';
import { adapterAxes } from './adapter-schema';
import { compareLines } from './compare-schema';
import { COMPAT_NAMES, readCompat, type Compat } from './compat';
import { choice, chosenBy, list, map, text, whole, positive } from './schema-parts';
import { search } from './search-schema';
import { seeds } from './seeds';
import { sweepName } from './sweep-file';
import { taskSchema } from './task-schema';
import { train } from './train-schema';

const every = z.custom<'epoch' | number>(
  (value) => value === 'epoch' || (typeof value === 'number' && value >= 0.01 && value < 1),
  { error: 'epoch, or a fraction of the training in [0.01, 1), such as 0.25' },
);
const evaluateKeys = map({ every: every.optional(), report: choice(['last', 'best']).optional() });
type EvaluateKeys = z.output<typeof evaluateKeys>;

const FAMILY_KEYS = Object.assign({}, ...FAMILIES.map(({ settings }) => settings.keys)) as object;

/** null, `none` in a file: at the end alone, whatever the file has beside a profile. */
const evaluate = chosenBy((value): z.ZodType<EvaluateKeys | null> =>
  value === null || value === 'none' ? z.unknown().transform(() => null) : evaluateKeys,
);

const rows = z.custom<number | 'all'>(
  (value) => value === 'all' || (Number.isSafeInteger(value) && (value as number) >= 1),
  {
    error: ({ input }) =>
      'a whole number of at least 1, or all' +
      (typeof input === 'string' && input.includes('%') ? '; percents are not understood' : ''),
  },
);

/** Names of parameters are those of the published code. */
const unfreezeParams = {
  none: z.undefined({ error: 'left out without compat official: the adapter says what trains' }),
  official: text,
};

/** The keys of a sweep file and of each of its profiles. `compat`: what applies there. */
const settings = (ownNames: readonly string[], compat: Compat) => ({
  backbone: text.optional(),
  precision: choice(PRECISION_NAMES).optional(),
  tasks: list(taskSchema(ownNames)).optional(),
  adapter: adapterAxes.optional(),
  compat: choice(COMPAT_NAMES).optional(),
  compare: compareLines[compat].optional(),
  seeds: seeds.optional(),
  rows: rows.optional(),
  validation_rows: rows.optional(),
  max_length: whole(8, 8192).optional(),
  unfreeze_params: unfreezeParams[compat].optional(),
  // Only the families know what these mean.
  ...FAMILY_KEYS,
  train: train.optional(),
  search: search.optional(),
  margin: positive.optional(),
  evaluate: evaluate.optional(),
});

/**
 * The schema of settings from a command's flags. `ownNames`: tasks of the file that the flags may
 * name, in addition to published ones; `compat`: that of the file.
 */
export const settingsSchema = (ownNames: readonly string[], compat: Compat) =>
  chosenBy((value) => map(settings(ownNames, readCompat(value, compat))));

const profileSchema = (ownNames: readonly string[], compat: Compat) =>
  chosenBy((value) =>
    map({
      description: z.string({ error: 'a string' }).optional(),
      ...settings(ownNames, readCompat(value, compat)),
    }),
  );

export const documentSchema = (ownNames: readonly string[]) =>
  chosenBy((value) => {
    const compat = readCompat(value);
    return map({
      name: sweepName.optional(),
      ...settings(ownNames, compat),
      profiles: z
        .record(z.string(), profileSchema(ownNames, compat), {
          error: 'a map of names to settings',
        })
        .optional(),
    }).superRefine(({ compare, profiles = {} }, context) => {
      for (const [name, profile] of Object.entries(profiles)) {
        if (
          profile.compat === undefined ||
          profile.compat === compat ||
          compare === undefined ||
          profile.compare !== undefined
        )
          continue;
        const message =
          'given with a compare of its own: it changes what sparsity means in the lines above';
        context.addIssue({ code: 'custom', path: ['profiles', name, 'compat'], message });
      }
    });
  });

/** The settings of a sweep file, a profile or a command's flags, without defaults. */
export type SweepSettings = z.output<ReturnType<typeof settingsSchema>>;
export type SweepDocument = z.output<ReturnType<typeof documentSchema>>;
/** The same as a user may write them: single values for lists, bare names for tasks. */
export type SweepSettingsInput = { [Key in keyof SweepSettings | keyof FamilySettings]?: unknown };
