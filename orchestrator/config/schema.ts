import { z } from 'zod';
import { GLUE_TASK_NAMES } from '../data/glue-tasks';

/*
 * The sweep file's shape. Each message is what would be right, to be put after "must be"; a map's own message lists its keys,
 * for suggestions. A single value where a list may stand is a list of one.
 */

function list<T extends z.ZodType>(item: T) {
  return z.preprocess(
    (value): unknown => (Array.isArray(value) ? value : [value]),
    z.array(item).min(1, 'a value or a list of at least one'),
  );
}

function choice<const T extends readonly [string, ...string[]]>(words: T) {
  return z.enum(words, { error: `one of ${words.join(', ')}` });
}

function real(allowed: string, holds: (value: number) => boolean) {
  return z.number({ error: allowed }).refine(holds, { error: allowed });
}

function whole(min: number, max: number) {
  const allowed = max === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${min}` : `a whole number from ${min} to ${max}`;
  return real(allowed, (value) => Number.isSafeInteger(value) && value >= min && value <= max);
}

function map<T extends z.ZodRawShape>(shape: T) {
  const keys = Object.keys(shape).join(', ');
  return z.strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? keys : `a map with keys among ${keys}`) });
}

const positive = real('a number above 0', (value) => value > 0);
const notNegative = real('a number of at least 0', (value) => value >= 0);
const fraction = real('a number in [0, 1)', (value) => value >= 0 && value < 1);
const count = whole(1, Number.MAX_SAFE_INTEGER);
const rows = z.union([count, z.literal('all')], { error: 'a whole number of at least 1, or all' });
const text = z.string({ error: 'a text' }).min(1, 'a text');
const width = whole(1, 65536);

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

const adapterKeys = {
  kind: choice(['houlsby', 'pfeiffer']),
  bottleneck: width,
  attention_bottleneck: width,
  ffn_bottleneck: width,
  scale: positive,
  norm: choice(['none', 'before', 'after']),
  activation: choice(['relu', 'gelu', 'swish']),
  init: choice(['gaussian', 'zero_up']),
  init_std: positive,
};

const adapter = map(adapterKeys).partial();

/** In a line of `compare` each adapter key may be a list. */
const adapterChoices = map({
  kind: list(adapterKeys.kind),
  bottleneck: list(adapterKeys.bottleneck),
  attention_bottleneck: list(adapterKeys.attention_bottleneck),
  ffn_bottleneck: list(adapterKeys.ffn_bottleneck),
  scale: list(adapterKeys.scale),
  norm: list(adapterKeys.norm),
  activation: list(adapterKeys.activation),
  init: list(adapterKeys.init),
  init_std: list(adapterKeys.init_std),
}).partial();

const compareLine = map({
  pruner: list(choice(['none', 'rand', 'mag', 'snip'])),
  sparsity: list(fraction).optional(),
  scope: list(choice(['global', 'local'])).optional(),
  scoring_rows: list(count).optional(),
  bottleneck: list(width).optional(),
  adapter: adapterChoices.optional(),
}).superRefine((line, context) => {
  const problem = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
  const dense = line.pruner.filter((pruner) => pruner === 'none').length;
  if (dense > 0 && dense < line.pruner.length) {
    problem('pruner', 'none alone or pruners alone: give the dense adapter a line of its own');
  } else if (dense > 0 && line.sparsity !== undefined) {
    problem('sparsity', 'left out where the pruner is none');
  } else if (dense === 0 && line.sparsity === undefined) {
    problem('sparsity', 'given for a pruner: the fraction of weights to remove, in [0, 1)');
  }
  if (line.scoring_rows !== undefined && !line.pruner.includes('snip')) {
    problem('scoring_rows', 'left out where no pruner is snip');
  }
  if (line.bottleneck !== undefined && line.adapter?.bottleneck !== undefined) {
    problem('bottleneck', 'given once: here or under adapter');
  }
});

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
