/** One row of a task's table, from the results of its trials. */
import { sum } from '../sweep/budget';
import { describeMakers } from '../sweep/environments';
import type { Budget, Plan, PlannedDataset } from '../sweep/types';
import { listLoraRanks } from '../sweep/adapters';
import { countBudget } from '../tasks/budget';
import { pickValues } from './axes';
import { differences, rowName, valuesBySeed, type Results } from './comparisons';
import { findReference } from './references';
import { computeMean, type Mean } from './statistics';
import { DEGENERATE_WARNINGS, type RowSummary } from './summary-types';
import type { Variant } from './variants';

/** What the rows of one task have in common. */
export interface RowContext {
  plan: Plan;
  dataset: PlannedDataset;
  /** All rows of the task, those of choices that are not made included. */
  variants: readonly Variant[];
  /** The keys of the task's axes, and those of them that were searched. */
  axes: readonly string[];
  over: readonly string[];
  results: Results;
}

export function summarizeRow(variant: Variant, context: RowContext): RowSummary {
  const { plan, dataset, variants, axes, over, results } = context;
  const { prune } = variant.config;
  const sizes = ({ config }: Variant) => countBudget(config, plan.backbone, dataset);
  const budget = { ...sizes(variant), ...keptIn(variant, results) };
  const own = valuesBySeed(variant, results);
  const reference = findReference(variant, variants, over);
  const metrics: Record<string, Mean> = {};
  for (const name of dataset.metrics) {
    const mean = computeMean([...own.values()].map((values) => values[name]!));
    if (mean !== null) metrics[name] = mean;
  }
  return {
    label: variant.label,
    ...(variant.name === variant.label ? {} : { name: variant.name }),
    ...(axes.length > 0 ? { axes: pickValues(variant.settings, axes) } : {}),
    pruner: prune.pruner,
    sparsity: prune.sparsity,
    rules: prune.rules,
    bottleneck: variant.bottleneck,
    trial_ids: variant.trials.toSorted((a, b) => a.seed - b.seed).map(({ id }) => id),
    seeds: variant.trials.length,
    done: own.size,
    failed: variant.trials.filter(({ id }) => results.get(id)?.status === 'failed').length,
    metrics,
    by_seed: [...own],
    budget,
    kept_of_dense: budget.kept / (reference ? sizes(reference) : budget).trainable,
    reference: reference && rowName(reference),
    ...measureLora(variant),
    difference:
      reference === null ? {} : differences(variant, reference, dataset, results, plan.margin),
    ...collectThresholds(variant, results),
    degenerate: countDegenerate(variant, results),
  };
}

/** The factor of its updates, which changes with the rank. */
function measureLora({ config: { adapter } }: Variant): Pick<RowSummary, 'lora_scale'> {
  const scales = listLoraRanks(adapter).map((rank) => adapter.lora_alpha / rank);
  return scales.length > 0 ? { lora_scale: [...new Set(scales)] } : {};
}

function collectThresholds({ trials }: Variant, results: Results): Pick<RowSummary, 'thresholds'> {
  const thresholds: Record<string, number[]> = {};
  for (const { id } of trials.toSorted((a, b) => a.seed - b.seed)) {
    for (const [metric, value] of Object.entries(results.get(id)?.thresholds ?? {}))
      (thresholds[metric] ??= []).push(value);
  }
  return Object.keys(thresholds).length > 0 ? { thresholds } : {};
}

/** How many of its finished trials were made on what. */
export function countMakers({ trials }: Variant, results: Results): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { id } of trials) {
    const result = results.get(id);
    if (result?.status !== 'done') continue;
    const made = describeMakers(result);
    counts[made] = (counts[made] ?? 0) + 1;
  }
  return counts;
}

function countDegenerate({ trials }: Variant, results: Results): RowSummary['degenerate'] {
  const counts: RowSummary['degenerate'] = {};
  for (const code of Object.keys(DEGENERATE_WARNINGS)) {
    const count = trials.filter(({ id }) =>
      results.get(id)?.warnings.some((warning) => warning.startsWith(`${code}:`)),
    ).length;
    if (count > 0) counts[code] = count;
  }
  return counts;
}

/** Average of weights kept in finished trials, rounded; empty if there are none. */
function keptIn(variant: Variant, results: Results): Partial<Budget> {
  const done = variant.trials
    .map(({ id }) => results.get(id))
    .filter((result) => result?.status === 'done');
  return done.length === 0
    ? {}
    : { kept: Math.round(sum(done.map((result) => result!.budget.kept)) / done.length) };
}
