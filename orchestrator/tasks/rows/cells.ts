/** Cells of the user's own tables as texts. */

/**
 * The texts of some cells, and what is wrong with them.
 *
 * @param wanted the columns of the cells
 * @param describe what a column's cell must be, for the message about an empty one
 */
export function readTexts(
  cells: readonly unknown[],
  wanted: readonly string[],
  describe: (column: number) => string,
): { texts: string[]; problem: string | null } {
  const problems: string[] = [];
  const texts = wanted.map((name, i) => {
    const text = readText(cells[i]);
    if (cells[i] === undefined) problems.push(`has no "${name}"`);
    else if (text === null)
      problems.push(
        `"${name}" is ${Array.isArray(cells[i]) ? 'a list' : 'an object'}; ` +
          'must be text or a number',
      );
    else if (text.trim() === '') problems.push(`"${name}" is empty; must be ${describe(i)}`);
    return text ?? '';
  });
  return { texts, problem: problems.length > 0 ? problems.join(', and ') : null };
}

/** A cell as text: empty for a JSON null; null if the cell is a list or an object. */
function readText(cell: unknown): string | null {
  if (cell === null) return '';
  if (typeof cell === 'string') return cell;
  return typeof cell === 'number' || typeof cell === 'bigint' || typeof cell === 'boolean'
    ? String(cell)
    : null;
}
