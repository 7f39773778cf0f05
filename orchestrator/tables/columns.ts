/** The names of a file's columns, for its readers. */
import { ConfigError } from '../base/errors';
import { suggestion } from '../base/suggest';
import { LONE_RETURNS } from './text';

/**
 * Checks that a file has each wanted column exactly once.
 *
 * @throws ConfigError with every column that is missing, or the one that is there twice
 */
export function checkColumns(
  where: string,
  columns: readonly string[],
  wanted: readonly string[],
): void {
  const missing = wanted.filter((name) => !columns.includes(name));
  if (missing.length > 0) {
    // Some of a file's lines: where they are all, it has been refused already.
    if (columns.some((name) => /\r(?!\n)/.test(name)))
      throw new ConfigError({ where, message: LONE_RETURNS });
    const separator = findSeparator(columns, missing[0]!);
    if (separator !== undefined) {
      const message =
        `has one column, ${quoteNames(columns)}: its cells are separated by ` +
        `${JSON.stringify(separator)}; must be by "," in .csv and by "\\t" in .tsv`;
      throw new ConfigError({ where, message });
    }
    const there = `the columns are ${quoteNames(columns)}`;
    throw new ConfigError(
      missing.map((name) => ({
        where,
        message: `has no column "${name}"; ${there}${suggestion(name, columns)}`,
      })),
    );
  }
  const twice = wanted.find((name) => columns.indexOf(name) !== columns.lastIndexOf(name));
  if (twice !== undefined) {
    throw new ConfigError({
      where,
      message: `has two columns "${twice}"; column names must differ`,
    });
  }
}

/** What separates the cells of a file that was read with another separator, as one column. */
function findSeparator(columns: readonly string[], wanted: string): string | undefined {
  const [header = '', ...more] = columns;
  if (more.length > 0) return undefined;
  return [',', ';', '\t', '|'].find((each) => {
    const names = header.split(each).map((name) => name.replace(/^ *"?|"? *$/g, ''));
    return names.length > 1 && names.includes(wanted);
  });
}

/** `"subject", "body"`; of more than 20 names, the first ones and the number of the rest. */
export function quoteNames(names: readonly string[]): string {
  const shown = names.slice(0, 20).map((name) => JSON.stringify(name));
  const more = names.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
