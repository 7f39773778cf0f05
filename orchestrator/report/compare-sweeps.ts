/** The rows that two sweeps have in common, paired by seed. Pure. */
import { groupBy } from '../base/group-by';
import { canonicalJson } from '../sweep/canonical';
import { listTaskDatasets } from '../sweep/lookup';
import { readPrecision } from '../sweep/precision';
import { stepsPerEpoch } from '../sweep/steps-per-epoch';
import type { AxisValues, Plan, PlannedEvaluation, TrialResult } from '../sweep/types';
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
  /** What else than adapter and pruning differs: `learning_rate 0.0003 → 0.001`. */
  changed: string[];
}

export interface ComparedSweeps {
  rows: SweepComparison[];
  /** Rows of either sweep that are in no difference: `mrpc, snip 40 %, bottleneck 64`. */
  only_first: string[];
  only_second: string[];
}

interface Side {
  plan: Plan;
  results: readonly TrialResult[];
}

/**
 * The second sweep's difference to the first, by task and row. Rows are the same if adapter and
 * pruning are; of several that are, those with the same training settings. Rows that cannot be told
 * to be the same, or have no seed in common, are named.
 */
export function compareSweeps(first: Side, second: Side): ComparedSweeps {
  const [a, b] = [first, second].map(listRows) as [Row[], Row[]];
  // Of a trial that both have, each may report another evaluation.
  const [before, after] = [first, second].map(
    ({ results }): Results => new Map(results.map((result) => [result.trial_id, result])),
  ) as [Results, Results];
  const others = groupBy(b, keyOf);
  const counts = groupBy(a, keyOf);
  const paired = new Set<Row>();
  const rows = a.flatMap((row): SweepComparison[] => {
    const same = others.get(keyOf(row)) ?? [];
    const isOne = same.length === 1 && counts.get(keyOf(row))!.length === 1;
    const other = isOne ? same[0] : same.find((each) => settingsOf(each) === settingsOf(row));
    if (other === undefined) return [];
    const metric = row.dataset.metrics[0]!;
    const found = differences(other.variant, row.variant, row.dataset, after, undefined, before);
    const difference = found[metric];
    if (difference === undefined) return [];
    paired.add(row).add(other);
    const changed = listChanges(row, other);
    return [{ task: row.dataset.task, metric, row: titleOf(row), difference, changed }];
  });
  const nameRest = (side: readonly Row[]) =>
    side.filter((row) => !paired.has(row)).map((row) => `${row.dataset.task}, ${titleOf(row)}`);
  return { rows, only_first: nameRest(a), only_second: nameRest(b) };
}

function titleOf({ variant: { label, bottleneck, config } }: Row): string {
  return rowTitle({ label, bottleneck, ...config.prune });
}

function listChanges(before: Row, after: Row): string[] {
  const [old, now] = [before, after].map(listSettings) as [AxisValues, AxisValues];
  const changed = findVaried([old, now]).map(
    (key) => `${key} ${old[key] ?? 'none'} → ${now[key] ?? 'none'}`,
  );
  return before.dataset.digest === after.dataset.digest ? changed : [...changed, 'other data'];
}

/** Told in the same words for both sweeps, whatever else is in each: steps, and epochs beside. */
function listSettings({ dataset, reported, variant: { config, trials } }: Row): AxisValues {
  const { total_steps, ...train } = config.train;
  const epochs = total_steps / stepsPerEpoch(dataset, train);
  return {
    ...train,
    steps: total_steps,
    epochs: Number(epochs.toPrecision(4)),
    precision: readPrecision(config),
    ...trials[0]!.generation,
    evaluation: reported,
  };
}

interface Row {
  dataset: Plan['datasets'][number];
  variant: Variant;
  /** Which evaluation its metrics are of. */
  reported: PlannedEvaluation['report'];
}

function listRows({ plan: { datasets, trials, search, evaluate } }: Side): Row[] {
  const reported = evaluate?.report ?? 'last';
  return listTaskDatasets(datasets).flatMap((dataset) =>
    groupVariants(
      trials.filter((trial) => trial.dataset === dataset.digest),
      dataset,
      search?.over,
    ).map((variant) => ({ dataset, variant, reported })),
  );
}

const keyOf = ({ dataset: { task }, variant: { config } }: Row) =>
  canonicalJson({ task, adapter: config.adapter, prune: config.prune });

const settingsOf = ({ variant: { config } }: Row) =>
  canonicalJson({ train: config.train, precision: config.precision ?? null });
