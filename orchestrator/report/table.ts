import type { Plan, TrialResult } from '../sweep/types';
import {
  dataStatement,
  formatCount,
  formatDifference,
  formatLabel,
  formatMean,
  formatSparsity,
  metricTitle,
} from './format';
import { tableNotes } from './notes';
import { summarize, type Baselines, type TaskSummary } from './summary';

/** The sweep's tables as plain text, for a terminal: the numbers of report.md. */
export function renderTable(
  plan: Plan,
  results: readonly TrialResult[],
  baselines: Baselines = {},
): string {
  const summary = summarize(plan, results, baselines);
  const { done, planned, failed } = summary.trials;
  const outcome =
    `${done} of ${planned} trials done` + (failed > 0 ? `, ${failed} failed (see the report)` : '');
  const precision =
    summary.precisions === undefined ? '' : `, precision ${summary.precisions.join(', ')}`;
  return [dataStatement(summary), ...summary.tasks.map(taskTable), `${outcome}${precision}`].join(
    '\n\n',
  );
}

function taskTable(task: TaskSummary): string {
  const deciding = task.metrics[0]!;
  const titles = task.metrics.map(metricTitle);
  const header = [
    task.task,
    '',
    'bottleneck',
    'n',
    titles.join(' / '),
    'kept',
    `Δ dense, ${titles[0]} (paired)`,
  ];
  const rows = task.rows.map((row) => [
    `  ${formatLabel(row)}`,
    formatSparsity(row),
    row.bottleneck,
    String(row.done),
    task.metrics.map((name) => formatMean(row.metrics[name])).join(' / '),
    formatCount(row.budget.kept),
    row.reference === null ? '' : formatDifference(row.difference[deciding]),
  ]);
  const table = [header, ...rows];
  const widths = header.map((_, column) =>
    Math.max(...table.map((cells) => cells[column]!.length)),
  );
  const lines = table.map((cells) =>
    cells
      .map((cell, i) =>
        i === 0 || i === cells.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
      )
      .join('  ')
      .trimEnd(),
  );
  const notes = tableNotes(task).flatMap(({ text, items }) => [
    `  · ${text}`,
    ...items.map((item) => `      ${item}`),
  ]);
  return [...lines, ...notes].join('\n');
}
