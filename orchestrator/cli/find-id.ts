/** Finds what has an id by that id, or by a beginning that no other has. */
import { UserError } from '../base/errors';
import { suggestion } from '../base/suggest';

/** How many ids of several are listed. */
const LISTED = 5;

/**
 * The id that is meant.
 *
 * @param noun what has such an id: `sweep here`, `trial of glue-7f3a12cd`
 * @throws UserError (exit 2) if no id begins so, or several do
 */
export function findId(word: string, ids: readonly string[], noun: string, hint?: string): string {
  const found = matchIds(word, ids);
  if (found.length === 1) return found[0]!;
  if (found.length > 1) throw ambiguous(word, found);
  throw new UserError(`no ${noun} has the id ${word}${suggestion(word, ids)}`, 2, hint);
}

/** The id itself, or every id that begins so. */
export function matchIds(word: string, ids: readonly string[]): string[] {
  if (ids.includes(word)) return [word];
  return word === '' ? [] : ids.filter((id) => id.startsWith(word));
}

export function ambiguous(word: string, found: readonly string[]): UserError {
  const more = found.length > LISTED ? ` and ${found.length - LISTED} more` : '';
  return new UserError(
    `${word} is the beginning of ${found.slice(0, LISTED).join(', ')}${more}`,
    2,
    'Write more of it.',
  );
}
