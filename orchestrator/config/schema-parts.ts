import { z } from 'zod';

/*
 * What the schema is made of. Each message is what would be right, to be put after "must be"; a
 * map's own message lists its keys, for suggestions. A single value where a list may stand is a
 * list of one.
 */

export function list<T extends z.ZodType>(item: T) {
  return z.preprocess(
    (value): unknown => (Array.isArray(value) ? value : [value]),
    z.array(item).min(1, 'a value or a list of at least one'),
  );
}

export function choice<const T extends readonly [string, ...string[]]>(words: T) {
  return z.enum(words, { error: `one of ${words.join(', ')}` });
}

export function real(allowed: string, holds: (value: number) => boolean) {
  return z.number({ error: allowed }).refine(holds, { error: allowed });
}

export function whole(min: number, max: number) {
  const allowed =
    max === Number.MAX_SAFE_INTEGER
      ? `a whole number of at least ${min}`
      : `a whole number from ${min} to ${max}`;
  return real(allowed, (value) => Number.isSafeInteger(value) && value >= min && value <= max);
}

/** A schema that the value itself chooses. */
export function chosenBy<T extends z.ZodType>(choose: (value: unknown) => T) {
  return z.unknown().transform((value, context): z.output<T> => {
    const result = choose(value).safeParse(value);
    if (result.success) return result.data;
    for (const issue of result.error.issues) context.addIssue({ ...issue });
    return z.NEVER;
  });
}

export function map<T extends z.ZodRawShape>(shape: T) {
  const keys = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? keys : `a map with keys among ${keys}`),
  });
}

export const positive = real('a number above 0', (value) => value > 0);
export const notNegative = real('a number of at least 0', (value) => value >= 0);
export const fraction = real('a number in [0, 1)', (value) => value >= 0 && value < 1);
/**
 * What the code published with SparseAdapter calls sparsity. 1 − value is a sparsity, so below 1.
 */
export const keptFraction = real(
  'under compat official a number in (0, 1], the fraction of weights kept',
  (value) => value > 0 && value <= 1 && 1 - value < 1,
);
export const count = whole(1, Number.MAX_SAFE_INTEGER);
export const text = z.string({ error: 'a text' }).min(1, 'a text');
