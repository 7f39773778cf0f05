/**
 * What Python's `str` calls by the same names as JavaScript and means otherwise; official metrics
 * are defined by it.
 */

/**
 * The characters that `str.split()` splits at: Unicode's white space and four separators among the
 * control characters.
 */
// eslint-disable-next-line no-control-regex -- they are meant
const SPACES = /[\p{White_Space}\u001c-\u001f]+/u;

/** `str.split()`: the words between white space. */
export function splitAtSpaces(text: string): string[] {
  return text.split(SPACES).filter((word) => word !== '');
}
