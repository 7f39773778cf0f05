import { describeMakers } from '../sweep/environments';
import { readPrecision } from '../sweep/precision';
import type { ReportedResult } from './reported-results';
import { isMadeDifferently } from './summary';

/** One line per trial, one column per value (RFC 4180). Metrics of other tasks are empty cells. */
export function renderCsv(results: readonly ReportedResult[]): string {
  const metrics = [...new Set(results.flatMap((result) => Object.keys(result.metrics)))].sort();
  const thresholds = [
    ...new Set(results.flatMap((result) => Object.keys(result.thresholds ?? {}))),
  ].sort();
  const mixed = isMadeDifferently(results);
  // No precision column if everything is float32.
  const precision = results.some((result) => result.precision !== undefined);
  const best = results.some((result) => result.best_step !== undefined);
  const settings = [...new Set(results.flatMap((result) => Object.keys(result.settings)))];
  const phase = results.some((result) => result.phase !== undefined);
  const header = [
    ...[
      'trial_id',
      'task',
      'backbone',
      'adapter',
      'bottleneck',
      'pruner',
      'sparsity',
      'achieved_sparsity',
      'seed',
      'status',
    ],
    ...(precision ? ['precision'] : []),
    ...(phase ? ['phase'] : []),
    ...settings.map((name) => `settings.${name}`),
    ...(best ? ['best_step'] : []),
    ...metrics.map((name) => `metrics.${name}`),
    ...thresholds.map((name) => `thresholds.${name}`),
    ...['budget.trainable', 'budget.kept', 'budget.head', 'budget.stored_bytes'],
    ...[
      'train.steps',
      'train.rows_per_s',
      'train.wall_s',
      'train.cohort',
      ...(mixed ? ['made_by'] : []),
      'data',
      'warnings',
      'error',
    ],
  ];
  const lines = results.map((result) => [
    ...[
      result.trial_id,
      result.task,
      result.backbone,
      result.adapter,
      [result.bottleneck].flat().join('/'),
      result.pruner,
    ],
    ...[result.sparsity, result.achieved_sparsity, result.seed, result.status],
    ...(precision ? [readPrecision(result)] : []),
    ...(phase ? [result.phase ?? null] : []),
    ...settings.map((name) => result.settings[name] ?? null),
    ...(best ? [result.best_step ?? null] : []),
    ...metrics.map((name) => result.metrics[name] ?? null),
    ...thresholds.map((name) => result.thresholds?.[name] ?? null),
    ...[
      result.budget.trainable,
      result.budget.kept,
      result.budget.head,
      result.budget.stored_bytes,
    ],
    ...[
      result.train.steps,
      result.train.rows_per_s,
      result.train.wall_s,
      result.train.cohort,
      ...(mixed ? [result.status === 'done' ? describeMakers(result) : null] : []),
      result.data,
      result.warnings.join('; '),
      result.error,
    ],
  ]);
  return [header, ...lines].map((cells) => `${cells.map(cell).join(',')}\r\n`).join('');
}

function cell(value: string | number | null): string {
  const text = value === null ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
