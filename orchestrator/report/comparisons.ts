/** Differences between the rows of a task's table, paired by seed. Pure. */
import { widthStep } from '../sweep/same-budget';
import type { Plan, PlannedDataset, TrialResult } from '../sweep/types';
import { findBudgetReference } from './references';
import { correctByHolm, pairedDifference, type PairedDifference } from './statistics';
import type { BudgetComparison, RowSummary } from './summary-types';
import type { Variant } from './variants';

/** Results by trial id. */
export type Results = ReadonlyMap<string, TrialResult>;

/** `snip (lora), bottleneck 8`: what a row is called where it is the reference of others. */
export const rowName = ({ label, bottleneck }: Variant) => `${label}, bottleneck ${bottleneck}`;

/**
 * Differences to another row, by metric, over the seeds that both have.
 *
 * @param ofReference results of the other row, if it is of another sweep
 */
export function differences(
  variant: Variant,
  reference: Variant,
  dataset: PlannedDataset,
  results: Results,
  margin?: number,
  ofReference: Results = results,
): RowSummary['difference'] {
  const [own, dense] = [valuesBySeed(variant, results), valuesBySeed(reference, ofReference)];
  const difference: RowSummary['difference'] = {};
  for (const name of dataset.metrics) {
    const pairs = [...own]
      .filter(([seed]) => dense.has(seed))
      .map(([seed, values]) => values[name]! - dense.get(seed)![name]!);
    const paired = pairedDifference(pairs);
    if (paired !== null) difference[name] = { ...paired, ...checkMargin(paired, margin) };
  }
  return difference;
}

/** @param margin in points */
function checkMargin(
  { interval }: PairedDifference,
  margin: number | undefined,
): Pick<PairedDifference, 'within_margin'> {
  if (interval === null || margin === undefined) return {};
  return { within_margin: interval.every((end) => 100 * Math.abs(end) <= margin) };
}

/**
 * Adds the p-values that are corrected by Holm. Each metric of a task is a family of tests of its
 * own: all of its rows that have a p-value. A single one needs no correction.
 */
export function correctRows(rows: readonly RowSummary[]): RowSummary[] {
  const metrics = new Set(rows.flatMap(({ difference }) => Object.keys(difference)));
  const corrected = rows.map((row) => ({ ...row, difference: { ...row.difference } }));
  for (const metric of metrics) {
    const tested = corrected.filter(({ difference }) => difference[metric]?.p != null);
    if (tested.length < 2) continue;
    const values = correctByHolm(tested.map(({ difference }) => difference[metric]!.p!));
    for (const [i, { difference }] of tested.entries())
      difference[metric] = { ...difference[metric]!, p_holm: values[i]! };
  }
  return corrected;
}

/** @param rows summaries of the variants, in their order */
export function compareAtBudget(
  variants: readonly Variant[],
  rows: readonly RowSummary[],
  dataset: PlannedDataset,
  results: Results,
  over: readonly string[],
  { backbone, margin }: Pick<Plan, 'backbone' | 'margin'>,
): BudgetComparison[] {
  const kept = new Map(variants.map((variant, i) => [variant, rows[i]!.budget.kept]));
  const step = ({ config }: Variant) => widthStep(config.adapter, backbone);
  const comparisons = new Map<Variant, BudgetComparison>();
  for (const [i, variant] of variants.entries()) {
    const reference = findBudgetReference(variant, variants, { kept, step }, over);
    if (reference === null) continue;
    const comparison = comparisons.get(reference) ?? {
      reference: rowName(reference),
      kept: kept.get(reference)!,
      rows: [],
    };
    const { label, pruner, sparsity, bottleneck } = rows[i]!;
    const difference = differences(variant, reference, dataset, results, margin);
    const own = kept.get(variant)!;
    comparison.rows.push({ label, pruner, sparsity, bottleneck, kept: own, difference });
    comparisons.set(reference, comparison);
  }
  return [...comparisons.values()];
}

/** Metrics of finished trials, by seed, in the order of seeds. */
export function valuesBySeed(
  variant: Variant,
  results: Results,
): Map<number, Record<string, number>> {
  const values = new Map<number, Record<string, number>>();
  for (const { id, seed } of variant.trials.toSorted((a, b) => a.seed - b.seed)) {
    const result = results.get(id);
    if (result?.status === 'done') values.set(seed, result.metrics);
  }
  return values;
}
