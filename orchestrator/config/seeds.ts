/** Seeds as users write them: numbers, ranges such as `1-5`, and lists of both. */
import { z } from 'zod';
import { list } from './schema-parts';

/** What may be written in a sweep file, after "must be". */
export const SEED_FORMS =
  'a whole number of at least 0, a range such as 1-5, or a list such as [1, 2, 3] or [1-3, 7]';

/** A longer range is a slip: each seed is a trial for every line of `compare`. */
const LONGEST_RANGE = 1000;

/** The seeds of `7`, `1-5` or `1-3,7`. @throws RangeError with what would be right */
export function readSeeds(text: string): number[] {
  return text.split(',').flatMap(readPart);
}

function readPart(text: string): number[] {
  const range = /^\s*(\d+)(?:\s*(?:-|–|\.\.)\s*(\d+))?\s*$/.exec(text);
  if (range === null) throw new RangeError(SEED_FORMS);
  const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];
  const length = last - first + 1;
  if (!Number.isSafeInteger(last) || length < 1 || length > LONGEST_RANGE) {
    throw new RangeError(
      `a range from a smaller to a larger seed, of at most ${LONGEST_RANGE} seeds`,
    );
  }
  return Array.from({ length }, (_, i) => first + i);
}

const seed = z.unknown().transform((value, context): number[] => {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return [value as number];
  try {
    return readSeeds(typeof value === 'string' ? value : '');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});
export const seeds = list(seed)
  .transform((parts) => parts.flat())
  .refine((value) => new Set(value).size === value.length, { error: 'a list of different seeds' });
