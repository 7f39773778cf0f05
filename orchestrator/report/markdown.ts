import { buildDocument } from './document';
import type { ReportDocument } from './report-document';
import type { SweepSummary } from './summary-types';

/** Renders report.md. */
export function renderMarkdown(summary: SweepSummary): string {
  const { statement, title, facts, howToRead, plot, searchPlot, tables, lists } =
    buildDocument(summary);
  const sections = [
    statement,
    `# ${title}`,
    list(facts),
    howToRead,
    ...[plot, ...(searchPlot ? [searchPlot] : [])].map(
      ({ file, description }) => `![${description}](${file})`,
    ),
    ...tables.map(tableSection),
    ...lists.flatMap(({ title, items }) => [`## ${title}`, list(items)]),
  ];
  return `${sections.join('\n\n')}\n`;
}

function tableSection({ title, header, rows, notes }: ReportDocument['tables'][number]): string {
  const rule = header.map((_, i) => (i === 0 || i === header.length - 1 ? '---' : '---:'));
  const table = [header, rule, ...rows]
    .map((cells) => `| ${cells.map(escapeCell).join(' | ')} |`)
    .join('\n');
  const lines = notes.flatMap(({ text, items }) => [
    `- ${text}`,
    ...items.map((item) => `  - ${item}`),
  ]);
  return [`## ${title}`, table, ...(lines.length > 0 ? [lines.join('\n')] : [])].join('\n\n');
}

const list = (items: readonly string[]) => items.map((item) => `- ${item}`).join('\n');
const escapeCell = (text: string) => text.replaceAll('|', '\\|');
