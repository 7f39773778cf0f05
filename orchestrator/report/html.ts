import { buildDocument } from './document';
import type { Figure, ReportDocument } from './report-document';
import type { SweepSummary } from './summary-types';

/** Nothing is loaded and nothing runs, whatever the name of a task or class contains. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE = [
  ':root{color-scheme:light dark;--ink:#1f2328;--ground:#fff;--line:#d8dee4;--faint:#f6f8fa}',
  '@media (prefers-color-scheme:dark){:root{' +
    '--ink:#e6edf3;--ground:#0d1117;--line:#30363d;--faint:#161b22}}',
  'body{margin:2rem auto;max-width:72rem;padding:0 1rem;font:15px/1.5 ' +
    'system-ui,sans-serif;color:var(--ink);background:var(--ground)}',
  'li{overflow-wrap:anywhere}figure{margin:1.5rem 0}figure svg{max-width:100%;height:auto}',
  '.table{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}',
  'th,td{padding:.3rem .7rem;border:1px solid ' +
    'var(--line);text-align:right;white-space:nowrap}th{background:var(--faint)}',
  'th:first-child,td:first-child,th:last-child,td:last-child{text-align:left}',
  // Words of many rows would otherwise make the page scroll.
  'td:first-child,td:last-child{white-space:normal}th{white-space:normal}',
].join('\n');

/**
 * Renders report.html: report.md and its plot in one file.
 *
 * @param plot text of plot.svg, which becomes part of the page
 * @param searchPlot text of search.svg; null without a search
 */
export function renderHtml(
  summary: SweepSummary,
  plot: string,
  searchPlot: string | null = null,
): string {
  const {
    statement,
    title,
    facts,
    howToRead,
    tables,
    lists,
    plot: figure,
    searchPlot: searchFigure,
  } = buildDocument(summary);
  return `${[
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escape(title)}</title>`,
    `<style>\n${STYLE}\n</style>`,
    '</head>',
    '<body>',
    `<p><strong>${escape(statement)}</strong></p>`,
    `<h1>${escape(title)}</h1>`,
    list(facts),
    `<p>${escape(howToRead)}</p>`,
    drawFigure(figure, plot),
    ...(searchFigure && searchPlot !== null ? [drawFigure(searchFigure, searchPlot)] : []),
    ...tables.map(tableSection),
    ...lists.map(({ title, items }) => `<h2>${escape(title)}</h2>\n${list(items)}`),
    '</body>',
    '</html>',
  ].join('\n')}\n`;
}

const drawFigure = ({ description }: Figure, svg: string) =>
  `<figure role="img" aria-label="${escape(description)}">\n${svg.trimEnd()}\n</figure>`;

function tableSection({ title, header, rows, notes }: ReportDocument['tables'][number]): string {
  const cells = (tag: 'th' | 'td', values: readonly string[]) =>
    `<tr>${values.map((value) => `<${tag}>${escape(value)}</${tag}>`).join('')}</tr>`;
  const lines = notes.map(
    ({ text, items }) => `<li>${escape(text)}${items.length > 0 ? `\n${list(items)}` : ''}</li>`,
  );
  return [
    `<h2>${escape(title)}</h2>`,
    '<div class="table"><table>',
    `<thead>${cells('th', header)}</thead>`,
    `<tbody>\n${rows.map((row) => cells('td', row)).join('\n')}\n</tbody>`,
    '</table></div>',
    ...(lines.length > 0 ? [`<ul>\n${lines.join('\n')}\n</ul>`] : []),
  ].join('\n');
}

const list = (items: readonly string[]) =>
  `<ul>\n${items.map((item) => `<li>${escape(item)}</li>`).join('\n')}\n</ul>`;

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escape = (text: string) => text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);
