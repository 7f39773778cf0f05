/**
 * Building blocks of this folder's tables. A vocabulary has a row for each value of an enumeration
 * in job.proto, under the value's name in sweep files. Types, schema, flags, messages and trainers'
 * checks follow from the rows, so that a new value is written in one place.
 */

/** The values with a meaning: neither "not set" (0) nor "unrecognized" (−1). */
type Known<E extends number> = E extends E ? (`${E}` extends '0' | '-1' ? never : E) : never;

type Complete<E extends number, Rows extends Record<string, { readonly proto: E }>> = [
  Exclude<Known<E>, Rows[keyof Rows]['proto']>,
] extends [never]
  ? unknown
  : { 'has no word for': Exclude<Known<E>, Rows[keyof Rows]['proto']> };

export type Vocabulary<Word extends string, Row> = Readonly<Record<Word, Row>>;

/**
 * Defines a vocabulary for the enumeration E, whose rows have `proto` and the fields of Row. It
 * does not compile if a value of E is missing.
 */
export function defineVocabulary<E extends number, Row extends object = object>() {
  return <const Rows extends Record<string, Row & { readonly proto: E }>>(
    rows: Rows & Complete<E, Rows>,
  ): Vocabulary<keyof Rows & string, Row & { readonly proto: E }> => rows;
}

/** The words, in the order of the rows. */
export function listWords<Word extends string>(rows: Vocabulary<Word, unknown>): [Word, ...Word[]] {
  return Object.keys(rows) as [Word, ...Word[]];
}

/** The words whose rows satisfy a condition, in the order of the rows. */
export function filterWords<Word extends string, Row>(
  rows: Vocabulary<Word, Row>,
  holds: (row: Row) => boolean,
): Word[] {
  return listWords(rows).filter((word) => holds(rows[word]));
}

/** The word for a value of the contract; undefined for one that is not set or not known here. */
export function findWord<Word extends string>(
  rows: Vocabulary<Word, { readonly proto: number }>,
  proto: number,
): Word | undefined {
  return listWords(rows).find((word) => rows[word].proto === proto);
}

/** The row of a value of the contract; undefined for one that is not set or not known here. */
export function findRow<Word extends string, Row extends { readonly proto: number }>(
  rows: Vocabulary<Word, Row>,
  proto: number,
): Row | undefined {
  const word = findWord(rows, proto);
  return word === undefined ? undefined : rows[word];
}

/**
 * The row of a value of the contract.
 *
 * @throws RangeError if there is none, which the checks of jobs rule out
 */
export function getRow<Word extends string, Row extends { readonly proto: number }>(
  rows: Vocabulary<Word, Row>,
  proto: number,
): Row {
  const row = findRow(rows, proto);
  if (row === undefined)
    throw new RangeError(`${proto} is none of ${listWords(rows).join(', ')} in job.proto`);
  return row;
}
