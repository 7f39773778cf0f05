import { join } from 'node:path';
import { writeDurably, writeJsonDurably } from '../../common/durable-files';
import type { Plan, TrialResult } from '../sweep/types';
import { measureBaselines } from './baselines';
import { renderCsv } from './csv';
import { PLOT_FILE, SEARCH_PLOT_FILE } from './document';
import { renderHtml } from './html';
import { renderMarkdown } from './markdown';
import { renderPlot } from './plot';
import { reportResults } from './reported-results';
import { renderSearchPlot } from './search-plot';
import { summarize } from './summary';

/**
 * Writes results.jsonl, results.csv, plot.svg, report.md, report.html, report.json and, with a
 * search, search.svg into `sweeps/<sweep id>/`, each whole or not at all. They are always rebuilt
 * from the trials' results, sorted by trial id, so writing twice duplicates nothing and equal
 * results give equal bytes.
 */
export async function writeReport(
  plan: Plan,
  results: readonly TrialResult[],
  root: string,
): Promise<{ files: string[] }> {
  const sorted = reportResults(plan, results);
  const summary = summarize(plan, sorted, measureBaselines(root, plan));
  const path = (name: string) => join(root, 'sweeps', plan.sweep_id, name);
  const files = {
    jsonl: path('results.jsonl'),
    csv: path('results.csv'),
    plot: path(PLOT_FILE),
    markdown: path('report.md'),
    html: path('report.html'),
    json: path('report.json'),
  };
  await writeDurably(files.jsonl, sorted.map((result) => `${JSON.stringify(result)}\n`).join(''));
  await writeDurably(files.csv, renderCsv(sorted));
  await writeJsonDurably(files.json, summary);
  await writeDurably(files.markdown, renderMarkdown(summary));
  // Last, so that no number waits for the plot.
  const plot = await renderPlot(summary);
  await writeDurably(files.plot, plot);
  const searchPlot = await renderSearchPlot(summary);
  const search = searchPlot === null ? [] : [path(SEARCH_PLOT_FILE)];
  for (const file of search) await writeDurably(file, searchPlot!);
  await writeDurably(files.html, renderHtml(summary, plot, searchPlot));
  return { files: [...Object.values(files), ...search] };
}
