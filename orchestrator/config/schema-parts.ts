import { z } from 'zod';

/*
 * Building blocks of the schemas. Each message says what would be right and is put after "must be";
 * a map's message lists its keys, for suggestions. Where a list is allowed, a single value is read
 * as a list of one.
 */

export function list<T extends z.ZodType>(item: T) {
  return z.preprocess(
    (value): unknown => (Array.isArray(value) ? value : [value]),
    z.array(item).min(1, 'a value or a list of at least one'),
  );
}

/** A list whose values are compared with each other, and so differ. */
export function axis<T extends z.ZodType>(item: T) {
  return list(item).refine((values) => findRepeated(values) === -1, {
    error: 'a list of different values',
  });
}

/**
 * The index of the first value that equals an earlier one; -1 if all differ. They come from
 * schemas, which give the keys of a map in one order.
 */
export function findRepeated(values: readonly unknown[]): number {
  const texts = values.map((value) => JSON.stringify(value));
  return texts.findIndex((text, i) => texts.indexOf(text) < i);
}

/** Each key as an axis that may be left out. */
export function axes<Shape extends Record<string, z.ZodType>>(items: Shape) {
  return Object.fromEntries(
    Object.entries(items).map(([key, item]) => [key, axis(item).optional()]),
  ) as { [Key in keyof Shape]: z.ZodOptional<ReturnType<typeof axis<Shape[Key]>>> };
}

export function choice<const T extends readonly [string, ...string[]]>(words: T) {
  return z.enum(words, { error: `one of ${words.join(', ')}` });
}

export function real(allowed: string, holds: (value: number) => boolean) {
  return z.number({ error: allowed }).refine(holds, { error: allowed });
}

export function whole(min: number, max: number) {
  return real(
    `a whole number from ${min} to ${max}`,
    (value) => Number.isSafeInteger(value) && value >= min && value <= max,
  );
}

/** A schema that depends on the value. */
export function chosenBy<T extends z.ZodType>(choose: (value: unknown) => T) {
  return z.unknown().transform((value, context): z.output<T> => {
    const result = choose(value).safeParse(value);
    if (result.success) return result.data;
    for (const issue of result.error.issues) context.addIssue({ ...issue });
    return z.NEVER;
  });
}

export function isMap(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
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
 * What the code published with SparseAdapter calls sparsity. 1 − value must be below 1, because it
 * is the sparsity.
 */
export const keptFraction = real(
  'a number in (0, 1], under compat official the fraction of weights kept',
  (value) => value > 0 && value <= 1 && 1 - value < 1,
);
export const yesOrNo = z.boolean({ error: 'true or false' });
export const text = z.string({ error: 'a non-empty string' }).min(1, 'a non-empty string');
