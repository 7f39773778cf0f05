/** Values of keys of `compare` that have a form of their own. */
import { z } from 'zod';
import { PRUNER_NAMES, type PrunerName } from '../../common/vocabulary/pruners';
import { SCORING_HEAD_WORDS } from '../../common/vocabulary/scoring-heads';
import { choice, chosenBy, fraction, isMap, map, whole } from './schema-parts';

const N_OF_M =
  'N:M in quotes, for example "2:4": N of each M neighbouring weights are kept, with 1 ≤ N < ' +
  'M ≤ 65536';

/** A string: without quotes YAML may read 2:4 as a number of minutes or a map. */
export const nOfM = z.string({ error: N_OF_M }).transform((text, context) => {
  const [, kept, size] = /^(\d{1,5}):(\d{1,5})$/.exec(text)?.map(Number) ?? [];
  if (kept !== undefined && size !== undefined && 1 <= kept && kept < size && size <= 65536)
    return { group_kept: kept, group_size: size };
  context.addIssue({ code: 'custom', message: N_OF_M });
  return z.NEVER;
});

const SAME_BUDGET =
  'a pruner with its sparsity, for example snip 0.8 or {pruner: snip, sparsity: 0.8}';
const prunerName = choice(PRUNER_NAMES.filter((name) => name !== 'none') as [PrunerName]);
const pruning = map({ pruner: prunerName, sparsity: fraction });

/** What another line prunes: `snip 0.8`, or the same as a map. */
export const sameBudget = chosenBy((value) =>
  typeof value === 'string'
    ? z
        .string()
        .regex(/^\S+ \S+$/, SAME_BUDGET)
        .transform((text) => {
          const [pruner, sparsity] = text.split(' ');
          return { pruner, sparsity: Number(sparsity) };
        })
        .refine((value) => pruning.safeParse(value).success, SAME_BUDGET)
        .pipe(pruning)
    : pruning,
);

const SCORING_HEAD = `one of ${SCORING_HEAD_WORDS.join(', ')}; or {warm_up: 50}, a number of steps`;
const scoringHeadWord = z.enum(SCORING_HEAD_WORDS, { error: SCORING_HEAD });
const warmUp = map({ warm_up: whole(1, 1_000_000) });

/** The head that weights are scored with: a word, or for how many steps it is warmed up. */
export const scoringHead = chosenBy((value) => (isMap(value) ? warmUp : scoringHeadWord));
