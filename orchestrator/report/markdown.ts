import {
  dataStatement,
  formatCount,
  formatDifference,
  formatMean,
  formatPercent,
  formatSparsity,
  METRIC_TITLES,
  tableNotes,
} from './format';
import type { SweepSummary, TaskSummary } from './summary';

const HOW_TO_READ = [
  'Metrics × 100 on the validation rows, mean ± sample standard deviation over n seeds. Δ is the mean difference to the dense adapter of the same',
  'seed, in points, with its 95 % interval (Student’s t on the pairs). Kept counts non-zero trained adapter weights (prunable ones kept, biases,',
  'norms), the head not included.',
].join(' ');

/** report.md. */
export function renderMarkdown(summary: SweepSummary): string {
  const { trials, backbone, profile, profile_reason: reason } = summary;
  const outcome = [`${trials.done} of ${trials.planned} trials done`];
  if (trials.failed > 0) outcome.push(`${trials.failed} failed`);
  if (trials.cancelled > 0) outcome.push(`${trials.cancelled} cancelled`);
  const facts = [
    `- ${outcome.join(', ')}`,
    `- backbone ${backbone.name}, ${formatCount(backbone.weights)} weights`,
    ...(profile === null ? [] : [`- profile ${profile}${reason === null ? '' : ` (${reason})`}`]),
  ];
  const sections = [
    dataStatement(summary),
    `# Sweep ${summary.sweep_id}`,
    facts.join('\n'),
    HOW_TO_READ,
    ...summary.tasks.map(taskSection),
    ...failureSection(summary),
    ...warningSection(summary),
  ];
  return `${sections.join('\n\n')}\n`;
}

function taskSection(task: TaskSummary): string {
  const deciding = task.metrics[0]!;
  const header = ['pruner', 'sparsity', 'bottleneck', 'n', ...task.metrics.map(title), 'kept', 'of dense', `Δ dense, ${title(deciding)}`];
  const rows = task.rows.map((row) => [
    row.label,
    formatSparsity(row),
    row.bottleneck,
    String(row.done),
    ...task.metrics.map((name) => formatMean(row.metrics[name])),
    formatCount(row.budget.kept),
    formatPercent(row.kept_of_dense),
    row.reference === null ? '' : formatDifference(row.difference[deciding]),
  ]);
  const rule = header.map((_, i) => (i === 0 || i === header.length - 1 ? '---' : '---:'));
  const table = [header, rule, ...rows].map((cells) => `| ${cells.map(escapeCell).join(' | ')} |`).join('\n');
  const notes = tableNotes(task).map((note) => `- ${note}`);
  return [`## ${task.task}`, table, ...(notes.length > 0 ? [notes.join('\n')] : [])].join('\n\n');
}

function failureSection({ failures }: SweepSummary): string[] {
  if (failures.length === 0) return [];
  const lines = failures.map(({ trial_id, task, row, seed, error }) => `- ${trial_id} (${task}, ${row}, seed ${seed}): ${oneLine(error)}`);
  return ['## Failed trials', lines.join('\n')];
}

function warningSection({ warnings }: SweepSummary): string[] {
  if (warnings.length === 0) return [];
  const lines = warnings.map(
    ({ warning, trials }) => `- ${oneLine(warning)} (${trials.length === 1 ? trials[0] : `${trials.length} trials`})`,
  );
  return ['## Warnings', lines.join('\n')];
}

const title = (metric: string) => METRIC_TITLES[metric] ?? metric;
const escapeCell = (text: string) => text.replaceAll('|', '\\|');
const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ').trim();
