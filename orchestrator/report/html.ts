import { buildDocument } from './document';
import type { TaskDiagnostics } from './diagnostics-summary';
import { renderDiagnostics } from './html-diagnostics';
import {
  escapeHtml as escape,
  renderFigure,
  renderHtmlTable,
  renderList as list,
} from './html-parts';
import { STYLE } from './html-style';
import type { ReportDocument } from './report-document';
import type { SweepSummary } from './summary-types';

/** Nothing is loaded and nothing runs, whatever the name of a task or class contains. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

/** What report.html has beside the content of report.md. */
export interface HtmlDetails {
  /** Drawn from the trials' files, each with what it shows. */
  figures: { description: string; svg: string }[];
  diagnostics: TaskDiagnostics[];
}

/**
 * Renders report.html: report.md and its plots in one file, and what single rows tell.
 *
 * @param plot text of plot.svg, which becomes part of the page
 * @param searchPlot text of search.svg; null without a search
 */
export function renderHtml(
  summary: SweepSummary,
  plot: string,
  searchPlot: string | null = null,
  { figures, diagnostics }: HtmlDetails = { figures: [], diagnostics: [] },
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
    renderFigure(figure.description, plot),
    ...(searchFigure && searchPlot !== null
      ? [renderFigure(searchFigure.description, searchPlot)]
      : []),
    ...figures.map(({ description, svg }) => renderFigure(description, svg)),
    ...tables.map(tableSection),
    ...renderDiagnostics(diagnostics),
    ...lists.map(({ title, items }) => `<h2>${escape(title)}</h2>\n${list(items)}`),
    '</body>',
    '</html>',
  ].join('\n')}\n`;
}

function tableSection({ title, header, rows, notes }: ReportDocument['tables'][number]): string {
  const lines = notes.map(
    ({ text, items }) => `<li>${escape(text)}${items.length > 0 ? `\n${list(items)}` : ''}</li>`,
  );
  return [
    `<h2>${escape(title)}</h2>`,
    renderHtmlTable(header, rows),
    ...(lines.length > 0 ? [`<ul>\n${lines.join('\n')}\n</ul>`] : []),
  ].join('\n');
}
