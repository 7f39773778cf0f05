/** What report.html is made of. Everything that came from outside is escaped here. */

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);

export const renderList = (items: readonly string[]): string =>
  `<ul>\n${items.map((item) => `<li>${escapeHtml(item)}</li>`).join('\n')}\n</ul>`;

/** More columns than these, or characters in their heads, seldom fit a page unless cells wrap. */
const COLUMNS = 11;
const CHARACTERS = 120;

/** A table that scrolls by itself if it is too wide for the page. */
export function renderHtmlTable(header: readonly string[], rows: readonly string[][]): string {
  const cells = (tag: 'th' | 'td', values: readonly string[]) =>
    `<tr>${values.map((value) => `<${tag}>${escapeHtml(value)}</${tag}>`).join('')}</tr>`;
  return [
    `<div class="table${isWide(header) ? ' wide' : ''}"><table>`,
    `<thead>${cells('th', header)}</thead>`,
    `<tbody>\n${rows.map((row) => cells('td', row)).join('\n')}\n</tbody>`,
    '</table></div>',
  ].join('\n');
}

const isWide = (header: readonly string[]): boolean =>
  header.length > COLUMNS || header.join('').length > CHARACTERS;

/** What is shown when a reader opens it. */
export const renderFolded = (summary: string, content: readonly string[]): string =>
  [`<details><summary>${escapeHtml(summary)}</summary>`, ...content, '</details>'].join('\n');

/** @param svg a file's text, which becomes part of the page */
export const renderFigure = (description: string, svg: string): string =>
  `<figure role="img" aria-label="${escapeHtml(description)}">\n${svg.trimEnd()}\n</figure>`;
