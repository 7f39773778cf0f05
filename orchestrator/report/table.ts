import { groupBy } from '../base/group-by';
import { plural } from '../base/plural';
import type { Plan, TrialResult } from '../sweep/types';
import { axisTitle, formatValue } from './axes';
import {
  dataStatement,
  describePhases,
  formatCount,
  formatDifference,
  formatLabel,
  formatMean,
  formatSparsity,
  metricTitle,
  rowTitle,
  shortenId,
} from './format';
import { tableNotes } from './notes';
import { renderSearchLines } from './search-table';
import { summarize } from './summary';
import type { Baselines, SweepSummary, TaskSummary } from './summary-types';

/** A row names so many of its trials; results.csv has all. */
const NAMED_TRIALS = 5;
/** So many reasons of failures are shown; the report has all. */
const SHOWN_REASONS = 3;
const REASON_LENGTH = 240;

/**
 * The sweep's tables as plain text, for a terminal: the numbers of report.md.
 *
 * @param width columns of the terminal; where the trials of a row do not fit beside it, they follow
 *   below
 */
export function renderTable(
  plan: Plan,
  results: readonly TrialResult[],
  baselines: Baselines = {},
  width = Infinity,
): string {
  const summary = summarize(plan, results, baselines);
  const { done, planned, failed, cancelled } = summary.trials;
  const phases = describePhases(summary);
  const outcome = [
    `${done} of ${planned} trials done`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
    ...(phases === null ? [] : [phases]),
    ...(summary.precisions === undefined ? [] : [`precision ${summary.precisions.join(', ')}`]),
  ].join(', ');
  const tables = summary.tasks.flatMap((task) => [
    ...(task.rows.length === 0 && task.search ? [] : [taskTable(task, width)]),
    ...(task.search ? [renderSearchLines(task.task, task.search)] : []),
  ]);
  const end = [outcome, ...describeFailures(summary)].join('\n');
  return [dataStatement(summary), ...tables, end].join('\n\n');
}

/** The most frequent reasons, each with the trials that have it, and where to read more. */
function describeFailures({ failures }: SweepSummary): string[] {
  // Those that differ only in their numbers, such as the step, are alike.
  const each = failures.map(({ trial_id: id, error }) => ({
    id,
    reason: error.replaceAll(/\s+/g, ' ').trim(),
  }));
  const reasons = [...groupBy(each, ({ reason }) => reason.replaceAll(/\d+/g, '#')).values()]
    .map((alike) => ({ reason: alike[0]!.reason, ids: alike.map(({ id }) => id) }))
    .toSorted((a, b) => b.ids.length - a.ids.length);
  if (reasons.length === 0) return [];
  const lines = reasons.slice(0, SHOWN_REASONS).map(({ reason, ids }) => {
    const short = reason.length > REASON_LENGTH ? `${reason.slice(0, REASON_LENGTH)}…` : reason;
    return `  ${plural(ids.length, 'trial')} (${nameTrials(ids)}): ${short}`;
  });
  const more = reasons.length - SHOWN_REASONS;
  return [
    ...lines,
    ...(more > 0 ? [`  and ${plural(more, 'other reason')}, in the report`] : []),
    `  \`sa-orch logs ${shortenId(reasons[0]!.ids[0]!)}\` says more; the same start with ` +
      '--retry <trial> or --retry-failed reruns them',
  ];
}

function nameTrials(ids: readonly string[]): string {
  const more = ids.length > NAMED_TRIALS ? [`+ ${ids.length - NAMED_TRIALS}`] : [];
  return [...ids.slice(0, NAMED_TRIALS).map(shortenId), ...more].join(' ');
}

function taskTable(task: TaskSummary, width: number): string {
  const deciding = task.metrics[0]!;
  const { axes = [] } = task;
  const titles = task.metrics.map(metricTitle);
  const header = [
    task.task,
    '',
    'bottleneck',
    ...axes.map(axisTitle),
    'n',
    titles.join(' / '),
    'kept',
    `Δ dense, ${titles[0]} (paired)`,
  ];
  const rows = task.rows.map((row) => [
    `  ${formatLabel(row)}`,
    formatSparsity(row),
    row.bottleneck,
    ...axes.map((key) => formatValue(row.axes?.[key])),
    String(row.done),
    task.metrics.map((name) => formatMean(row.metrics[name])).join(' / '),
    formatCount(row.budget.kept),
    row.reference === null ? '' : formatDifference(row.difference[deciding], task.margin),
  ]);
  const trials = ['trials, by seed', ...task.rows.map(({ trial_ids }) => nameTrials(trial_ids))];
  // The difference to dense is in words, and so is what follows.
  const firstWords = header.length - 1;
  const wide = alignColumns(
    [header, ...rows].map((cells, i) => [...cells, trials[i]!]),
    firstWords,
  );
  const fits = wide.every((line) => line.length <= width);
  const lines = fits ? wide : alignColumns([header, ...rows], firstWords);
  const below = {
    text: trials[0]!,
    items: task.rows.map((row, i) => `${rowTitle(row)}: ${trials[i + 1]}`),
  };
  const notes = [...tableNotes(task), ...(fits ? [] : [below])].flatMap(({ text, items }) => [
    `  · ${text}`,
    ...items.map((item) => `      ${item}`),
  ]);
  return [...lines, ...notes].join('\n');
}

/** Words, in the first column and from `firstWords` on, are to the left, numbers to the right. */
export function alignColumns(table: readonly string[][], firstWords: number): string[] {
  const widths = table[0]!.map((_, column) =>
    Math.max(...table.map((cells) => cells[column]!.length)),
  );
  const isText = (column: number) => column === 0 || column >= firstWords;
  return table.map((cells) =>
    cells
      .map((cell, i) => (isText(i) ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}
