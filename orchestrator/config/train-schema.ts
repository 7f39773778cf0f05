/** The keys of `train`. Each may be an axis: a list, or a range that a search draws from. */
import { z } from 'zod';
import { LEARNING_RATE_SCHEDULE_NAMES } from '../../common/vocabulary/learning-rate-schedules';
import { MOST_EPOCHS, MOST_STEPS } from '../sweep/steps-per-epoch';
import { FAMILIES } from '../tasks/registry';
import {
  axes,
  axis,
  choice,
  chosenBy,
  fraction,
  isMap,
  map,
  notNegative,
  positive,
  whole,
} from './schema-parts';

/** Keys of `train` that belong to one task family. */
const FAMILY_KEYS = Object.assign(
  {},
  ...FAMILIES.map(({ settings }) => settings.trainKeys),
) as Record<string, z.ZodType<number>>;

const discrete = {
  epochs: whole(1, MOST_EPOCHS),
  steps: whole(1, MOST_STEPS),
  batch_size: whole(1, 65536),
  schedule: choice(LEARNING_RATE_SCHEDULE_NAMES),
  accumulated_batches: whole(2, 65536),
  loss_parts: whole(2, 65536),
};

/** Numbers of which every one between two is allowed, too, so that a search may draw them. */
const continuous = {
  learning_rate: positive,
  weight_decay: notNegative,
  warmup: fraction,
  max_grad_norm: notNegative,
  adam_beta1: fraction,
  adam_beta2: fraction,
  adam_epsilon: positive,
  dropout: fraction,
  attention_dropout: fraction,
};

/** Between two numbers above 0, both included. */
export interface Range {
  from: number;
  to: number;
}

function drawable(item: z.ZodType<number>) {
  const range = map({ from: item, to: item }).refine(({ from, to }) => 0 < from && from < to, {
    error: 'a range such as {from: 1e-4, to: 1e-2}, from a smaller to a larger number above 0',
  });
  return chosenBy((value): z.ZodType<number[] | Range> => (isMap(value) ? range : axis(item)));
}

function drawables<Shape extends Record<string, z.ZodType<number>>>(items: Shape) {
  return Object.fromEntries(
    Object.entries(items).map(([key, item]) => [key, drawable(item).optional()]),
  ) as { [Key in keyof Shape]: z.ZodOptional<ReturnType<typeof drawable>> };
}

const trainAxes = { ...axes(discrete), ...drawables(continuous), ...drawables(FAMILY_KEYS) };

/** The keys of `train` that may be axes, in the order in which their lists multiply. */
export const TRAIN_AXES = Object.keys(trainAxes) as [string, ...string[]];

const oneLength = { error: 'a map with epochs or steps, not both' };
const hasOneLength = (value: { epochs?: unknown; steps?: unknown }) =>
  value.epochs === undefined || value.steps === undefined;

export const train = map({ ...trainAxes, max_minutes: positive.optional() }).refine(
  hasOneLength,
  oneLength,
);
/** Of a line of `compare`: its trials are in cohorts with those of others, which a limit is of. */
export const lineTrain = map(trainAxes).refine(hasOneLength, oneLength);

export type TrainKeys = z.output<typeof train>;
/** A single value of each axis. */
export type TrainValues = {
  [Key in keyof z.output<typeof lineTrain>]: Exclude<
    NonNullable<z.output<typeof lineTrain>[Key]>,
    Range
  >[number];
};

export function isRange(axis: unknown): axis is Range {
  return isMap(axis);
}
