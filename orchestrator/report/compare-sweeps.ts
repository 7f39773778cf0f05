/** The rows that two sweeps have in common, paired by seed. Pure. */
import { groupBy } from '../base/group-by';
import { canonicalJson } from '../sweep/canonical';
import { listTaskDatasets } from '../sweep/lookup';
import type { Plan, TrialResult } from '../sweep/types';
import { findVaried } from './axes';
import { differences, type Results } from './comparisons';
import { rowTitle } from './format';
import type { PairedDifference } from './statistics';
import { groupVariants, type Variant } from './variants';

export interface SweepComparison {
  task: string;
  metric: string;
  /** As the first sweep names it. */
  row: string;
  /** Means of the seeds that each sweep has, and how many. */
  difference: PairedDifference;
  /** Training settings that differ: `learning_rate 0.0003 → 0.001`. */
  changed: string[];
}

interface Side {
  plan: Plan;
  results: readonly TrialResult[];
}

/**
 * The second sweep's difference to the first, by task and row. Rows are the same if adapter and
 * pruning are; of several that are, those with the same training settings.
 */
export function compareSweeps(first: Side, second: Side): SweepComparison[] {
  const [a, b] = [first, second].map(listRows) as [Row[], Row[]];
  const results: Results = new Map(
    [...first.results, ...second.results].map((result) => [result.trial_id, result]),
  );
  const others = groupBy(b, keyOf);
  const counts = groupBy(a, keyOf);
  return a.flatMap((row) => {
    const same = others.get(keyOf(row)) ?? [];
    const isOne = same.length === 1 && counts.get(keyOf(row))!.length === 1;
    const other = isOne ? same[0] : same.find((each) => settingsOf(each) === settingsOf(row));
    if (other === undefined) return [];
    const metric = row.dataset.metrics[0]!;
    const difference = differences(other.variant, row.variant, row.dataset, results)[metric];
    if (difference === undefined) return [];
    const { label, bottleneck, config, settings: before } = row.variant;
    const { settings: after } = other.variant;
    const changed = findVaried([before, after]).map(
      (key) => `${key} ${before[key] ?? 'none'} → ${after[key] ?? 'none'}`,
    );
    const title = rowTitle({ label, bottleneck, ...config.prune });
    return [{ task: row.dataset.task, metric, row: title, difference, changed }];
  });
}

interface Row {
  dataset: Plan['datasets'][number];
  variant: Variant;
}

function listRows({ plan: { datasets, trials, search } }: Side): Row[] {
  return listTaskDatasets(datasets).flatMap((dataset) =>
    groupVariants(
      trials.filter((trial) => trial.dataset === dataset.digest),
      dataset,
      search?.over,
    ).map((variant) => ({ dataset, variant })),
  );
}

const keyOf = ({ dataset: { task }, variant: { config } }: Row) =>
  canonicalJson({ task, adapter: config.adapter, prune: config.prune });

const settingsOf = ({ variant: { config } }: Row) =>
  canonicalJson({ train: config.train, precision: config.precision ?? null });
