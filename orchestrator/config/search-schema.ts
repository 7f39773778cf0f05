/** The keys of `search`. */
import { z } from 'zod';
import { axis, choice, chosenBy, isMap, list, map, real, whole, yesOrNo } from './schema-parts';
import { seeds } from './seeds';
import { TRAIN_AXES } from './train-schema';

const part = real('a number in (0, 1)', (value) => value > 0 && value < 1);

const rungs = list(part).refine(
  (values) => values.every((value, i) => i === 0 || value > values[i - 1]!),
  { error: 'growing numbers in (0, 1), such as [0.25, 0.5]' },
);

const absent = (why: string) => z.undefined({ error: `left out: ${why}` }).optional();

const attempts = chosenBy((value): z.ZodType<'grid' | { random: number }> =>
  isMap(value)
    ? map({ random: whole(1, 1000) })
    : z.literal('grid', { error: 'grid, or a number of drawn candidates such as {random: 20}' }),
);

const searchKeys = map({
  over: axis(choice(TRAIN_AXES)).optional(),
  on: map({
    hold_out: part.optional(),
    file: absent('held-out rows are a part of the training rows, see hold_out'),
  }).optional(),
  seeds: seeds.optional(),
  try: attempts.optional(),
  stop_early: map({ rungs, keep: part, asynchronous: yesOrNo.optional() }).optional(),
});

export type SearchKeys = z.output<typeof searchKeys>;

/** null, `none` in a file: there is no search, whatever the file has beside a profile. */
export const search = chosenBy((value): z.ZodType<SearchKeys | null> =>
  value === null || value === 'none' ? z.unknown().transform(() => null) : searchKeys,
);
