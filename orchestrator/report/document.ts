import { axisTitle, formatValue } from './axes';
import {
  dataStatement,
  describePhases,
  formatCount,
  formatDifference,
  formatLabel,
  formatMean,
  formatPercent,
  formatSparsity,
  metricTitle,
  rowTitle,
} from './format';
import { listMethods } from './methods';
import { tableNotes } from './notes';
import type { ReportDocument } from './report-document';
import type { ChoiceSummary } from './search-types';
import { buildSearchTable } from './search-table';
import type { SweepSummary, TaskSummary } from './summary-types';

export const SEARCH_PLOT_FILE = 'search.svg';
export const PLOT_FILE = 'plot.svg';

const HOW_TO_READ = [
  'Metrics × 100 on the validation rows, mean ± sample standard deviation over n seeds.',
  'Δ is the mean difference to the dense adapter with the same seed, in points, with its 95 %',
  'interval (Student’s t on the pairs, not corrected for the number of rows); it is within noise',
  'if the interval includes 0. Both are over seeds, on the same rows. Kept counts non-zero trained',
  'adapter weights (kept prunable ones, biases, norms), without the head.',
].join(' ');

export function buildDocument(summary: SweepSummary): ReportDocument {
  return {
    statement: dataStatement(summary),
    title: `Sweep ${summary.sweep_id}`,
    facts: facts(summary),
    howToRead: HOW_TO_READ,
    plot: {
      file: PLOT_FILE,
      description:
        'The first metric of each row against the weights it keeps; the tables below have ' +
        'the numbers',
    },
    searchPlot: summary.tasks.some(({ search }) => search?.choices.some(hasResult))
      ? {
          file: SEARCH_PLOT_FILE,
          description: 'The first metric on the held-out rows against each axis that was searched',
        }
      : null,
    tables: summary.tasks.flatMap(buildTables),
    lists: [
      { title: 'Failed trials', items: failures(summary) },
      { title: 'Warnings', items: warnings(summary) },
      { title: 'Methods', items: listMethods(summary.methods) },
      { title: 'Trials, by seed', items: listTrials(summary) },
    ].filter(({ items }) => items.length > 0),
  };
}

const hasResult = ({ candidates }: ChoiceSummary) => candidates.some(({ metric }) => metric);

function facts({
  trials,
  tasks,
  backbone,
  precisions,
  profile,
  profile_reason: reason,
}: SweepSummary): string[] {
  const outcome = [`${trials.done} of ${trials.planned} trials done`];
  if (trials.failed > 0) outcome.push(`${trials.failed} failed`);
  if (trials.cancelled > 0) outcome.push(`${trials.cancelled} cancelled`);
  const phases = describePhases({ trials, tasks });
  return [
    outcome.join(', '),
    ...(phases === null ? [] : [phases]),
    `backbone ${backbone.name}, ${formatCount(backbone.weights)} weights`,
    ...(precisions === undefined ? [] : [`precision ${precisions.join(', ')}`]),
    ...(profile === null ? [] : [`profile ${profile}${reason === null ? '' : ` (${reason})`}`]),
  ];
}

/** The comparison, unless all its rows are to come, and how what was searched for it was chosen. */
function buildTables(task: TaskSummary): ReportDocument['tables'] {
  const { search, rows } = task;
  if (search === undefined) return [buildTable(task)];
  const table = buildSearchTable(task.task, search);
  return rows.length === 0 ? [table] : [buildTable(task), table];
}

function buildTable(task: TaskSummary): ReportDocument['tables'][number] {
  const deciding = task.metrics[0]!;
  const titles = task.metrics.map(metricTitle);
  return {
    title: task.task,
    header: [
      'pruner',
      'sparsity',
      'bottleneck',
      ...(task.axes ?? []).map(axisTitle),
      'n',
      ...titles,
      'kept',
      'of dense',
      `Δ dense, ${titles[0]}`,
    ],
    rows: task.rows.map((row) => [
      formatLabel(row),
      formatSparsity(row),
      row.bottleneck,
      ...(task.axes ?? []).map((key) => formatValue(row.axes?.[key])),
      String(row.done),
      ...task.metrics.map((name) => formatMean(row.metrics[name])),
      formatCount(row.budget.kept),
      formatPercent(row.kept_of_dense),
      row.reference === null ? '' : formatDifference(row.difference[deciding], task.margin),
    ]),
    notes: tableNotes(task),
  };
}

/** The trials of each row, whose folders are checkpoints/trials/<trial>. */
function listTrials({ tasks }: SweepSummary): string[] {
  return tasks.flatMap(({ task, rows }) =>
    rows.map((row) => `${task}, ${rowTitle(row)}: ${row.trial_ids.join(', ')}`),
  );
}

function failures({ failures }: SweepSummary): string[] {
  return failures.map(
    ({ trial_id, task, row, seed, error }) =>
      `${trial_id} (${task}, ${row}, seed ${seed}): ${oneLine(error)}`,
  );
}

function warnings({ warnings }: SweepSummary): string[] {
  return warnings.map(
    ({ warning, trials }) =>
      `${oneLine(warning)} (${trials.length === 1 ? trials[0] : `${trials.length} trials`})`,
  );
}

const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ').trim();
