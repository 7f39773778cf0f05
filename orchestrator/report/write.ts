import { join } from 'node:path';
import { writeDurably, writeJsonDurably } from '../../common/durable-files';
import { measureOverlaps, OVERLAPS_FILE } from '../diagnostics/overlaps';
import { SweepDiagnostics } from '../diagnostics/trial-diagnostics';
import type { Plan, TrialResult } from '../sweep/types';
import { measureBaselines } from './baselines';
import { renderAxes } from './axes-plot';
import { renderCsv } from './csv';
import { renderCurves } from './curves-plot';
import { summarizeDiagnostics } from './diagnostics-summary';
import { PLOT_FILE, SEARCH_PLOT_FILE } from './document';
import { renderHtml } from './html';
import { renderMarkdown } from './markdown';
import { renderPlot } from './plot';
import { reportResults } from './reported-results';
import { renderSearchPlot } from './search-plot';
import { summarize } from './summary';

const DIAGNOSTICS_FILE = 'diagnostics.jsonl';
const AXES = 'The first metric of each row against each axis that is compared';
const CURVES =
  'Training loss, and metrics measured at several steps, against the steps of training';

/** How much of a report is written, by whoever writes the same one again and again. */
export interface ReportExtent {
  /** What was read for earlier reports of the sweep. */
  diagnostics?: SweepDiagnostics;
  /** Whether to measure how masks overlap, and to write every trial's diagnostics into one file. */
  isWhole?: boolean;
  /** Milliseconds after which missing diagnostics wait for the next report. */
  limitMs?: number;
}

/**
 * Writes results.jsonl, results.csv, plot.svg, report.md, report.html, report.json and, with a
 * search, search.svg into `sweeps/<sweep id>/`, each whole or not at all. They are always rebuilt
 * from the trials' results, sorted by trial id, so writing twice duplicates nothing and equal
 * results give equal bytes. A whole report has diagnostics.jsonl and overlaps.jsonl, too.
 */
export async function writeReport(
  plan: Plan,
  results: readonly TrialResult[],
  root: string,
  extent: ReportExtent = {},
): Promise<{ files: string[] }> {
  const { diagnostics = new SweepDiagnostics(root), isWhole = true, limitMs = Infinity } = extent;
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
  const until = Date.now() + limitMs;
  await diagnostics.refresh(plan, sorted, until);
  const known = sorted.flatMap(({ trial_id: id }) => diagnostics.all.get(id) ?? []);
  const done = new Set(known.map(({ trial_id: id }) => id));
  const masks = isWhole ? await measureOverlaps(root, plan, done, until) : undefined;
  const details = summarizeDiagnostics(summary, plan, diagnostics.all, masks);
  const figures = [
    { description: AXES, svg: await renderAxes(summary) },
    { description: CURVES, svg: await renderCurves(details) },
  ].flatMap(({ description, svg }) => (svg === null ? [] : [{ description, svg }]));
  await writeDurably(
    files.html,
    renderHtml(summary, plot, searchPlot, { figures, diagnostics: details }),
  );
  const lines = isWhole ? [path(DIAGNOSTICS_FILE)] : [];
  for (const file of lines)
    await writeDurably(file, known.map((each) => `${JSON.stringify(each)}\n`).join(''));
  if (masks && masks.overlaps.length > 0) lines.push(path(OVERLAPS_FILE));
  return { files: [...Object.values(files), ...search, ...lines] };
}
