/** Methods of Python's `str` that differ from JavaScript's; official metrics depend on them. */

/**
 * The characters at which `str.split()` splits: Unicode white space and four separators among the
 * control characters.
 */
// eslint-disable-next-line no-control-regex -- intended
const SPACES = /[\p{White_Space}\u001c-\u001f]+/u;

/** `str.split()`: the words between white space. */
export function splitAtSpaces(text: string): string[] {
  return text.split(SPACES).filter((word) => word !== '');
}
