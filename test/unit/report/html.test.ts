import { renderHtml } from '../../../orchestrator/report/html';
import { renderMarkdown } from '../../../orchestrator/report/markdown';
import { summarize } from '../../../orchestrator/report/summary';
import type { TrialResult } from '../../../orchestrator/sweep/types';
import { LARGE_SPARSE, buildPlan, buildResults } from '../support/results';

const PLOT = '<svg><text>the plot</text></svg>\n';

function buildSummary(
  change: (result: TrialResult, index: number) => Partial<TrialResult> = () => ({}),
) {
  const plan = buildPlan({ compare: LARGE_SPARSE });
  return summarize(
    plan,
    buildResults(plan).map((result, i) => ({ ...result, ...change(result, i) })),
    { mrpc: { accuracy: 0.66, f1: 0.8 } },
  );
}

const troubled = () =>
  buildSummary((_, i) =>
    i === 8
      ? {
          status: 'failed',
          metrics: {},
          error: 'loss is NaN',
          warnings: ['layers_emptied: ffn.up'],
        }
      : {},
  );

/** The words of a page or of Markdown, without what marks them up. */
function words(text: string): string[] {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  return text
    .replaceAll(/<(head|figure)\b.*?<\/\1>|<[^>]*>|!\[[^)]*\)|^\|[ :|-]+\|$/gms, ' ')
    .replaceAll(/&([a-z]+|#39);/g, (_, name: string) => entities[name]!)
    .split(/[\s|]+/)
    .filter((word) => !/^(#+|-|)$/.test(word));
}

test('report.html says what report.md says: tables, notes, failures, warnings', () => {
  const summary = troubled();
  const page = words(renderHtml(summary, PLOT));
  expect(page).toEqual(words(renderMarkdown(summary)));
  expect(page).toEqual(
    expect.arrayContaining(['Failed', 'Warnings', 'layers_emptied:', '83.0', '†']),
  );
});

test('report.html has the plot in it', () => {
  expect(renderHtml(buildSummary(), PLOT)).toMatch(
    /<figure role="img" aria-label="[^"]+">\n<svg><text>the plot<\/text><\/svg>\n<\/figure>/,
  );
});

test('report.html loads nothing and runs nothing', () => {
  const page = renderHtml(troubled(), PLOT);
  expect(page).toContain(
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ` +
      `'unsafe-inline'">`,
  );
  expect(page).not.toMatch(
    /<script|<link|<img|<iframe|<object|src=|href=|url\(|@import|\son\w+=|https?:/i,
  );
});

test('report.html has colours for light and for dark readers', () => {
  expect(renderHtml(buildSummary(), PLOT)).toContain('@media (prefers-color-scheme:dark)');
});

test('report.html escapes what came from outside: names, errors, warnings', () => {
  const evil = `<script>alert("&'")</script>`;
  const summary = buildSummary((_, i) =>
    i === 8 ? { status: 'failed', metrics: {}, error: evil, warnings: [`code: ${evil}`] } : {},
  );
  const renamed = {
    ...summary,
    sweep_id: evil,
    backbone: { ...summary.backbone, name: evil },
    tasks: summary.tasks.map((task) => ({
      ...task,
      task: evil,
      rows: task.rows.map((row) => ({ ...row, label: evil })),
    })),
  };
  const page = renderHtml(renamed, PLOT);
  expect(page).not.toContain('<script');
  expect(
    page.split('&lt;script&gt;alert(&quot;&amp;&#39;&quot;)&lt;/script&gt;').length,
  ).toBeGreaterThan(8);
});
