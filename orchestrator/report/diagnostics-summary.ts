/** The diagnostics of a sweep's trials, by row of its tables. Pure. */
import type { Overlap } from '../diagnostics/overlaps';
import type { Curve, MaskDiagnostics, TrialDiagnostics } from '../diagnostics/types';
import { groupBy } from '../base/group-by';
import type { Plan } from '../sweep/types';
import type { Confusion } from '../tasks/family';
import { rowTitle } from './format';
import type { RowSummary, SweepSummary } from './summary-types';

export interface TaskDiagnostics {
  task: string;
  /** The metrics, of which the first decides. */
  metrics: string[];
  rows: RowDiagnostics[];
  overlaps: OverlapSummary[];
  /** Pairs of masks that are still to be measured. */
  overlaps_left: number;
}

export interface RowDiagnostics {
  row: string;
  pruner: string;
  /** Finished trials, and those of them whose diagnostics are known. */
  done: number;
  known: number;
  curves: { name: string; seed: number; curve: Curve }[];
  /** By split, summed over the trials that have one. */
  confusions: (Confusion & { n: number })[];
  /** Averages over its masks; null without one. */
  mask: (MaskDiagnostics & { n: number }) | null;
}

/** How much the masks of a row, or of two rows, have in common. */
export interface OverlapSummary {
  between: Overlap['between'];
  /** One row if the seeds differ, two if the pruners do. */
  rows: string[];
  /** Over so many pairs. */
  n: number;
  mean: number;
  least: number;
  most: number;
  by_chance: number;
}

const NO_OVERLAPS = { overlaps: [], left: [] };

export function summarizeDiagnostics(
  { tasks }: Pick<SweepSummary, 'tasks'>,
  { trials }: Pick<Plan, 'trials'>,
  diagnostics: ReadonlyMap<string, TrialDiagnostics>,
  { overlaps, left }: { overlaps: readonly Overlap[]; left: readonly string[] } = NO_OVERLAPS,
): TaskDiagnostics[] {
  const seeds = new Map(trials.map(({ id, seed }) => [id, seed]));
  return tasks.map(({ task, metrics, rows }) => ({
    task,
    metrics,
    rows: rows.map((row) => summarizeRow(row, seeds, diagnostics)),
    overlaps: summarizeOverlaps(rows, overlaps),
    overlaps_left: countOf(rows, left),
  }));
}

const countOf = (rows: readonly RowSummary[], trials: readonly string[]): number => {
  const own = new Set(rows.flatMap((row) => row.trial_ids));
  return trials.filter((id) => own.has(id)).length;
};

function summarizeRow(
  row: RowSummary,
  seeds: ReadonlyMap<string, number>,
  diagnostics: ReadonlyMap<string, TrialDiagnostics>,
): RowDiagnostics {
  const known = row.trial_ids.flatMap((id) => diagnostics.get(id) ?? []);
  return {
    row: rowTitle(row),
    pruner: row.pruner,
    done: row.done,
    known: known.length,
    curves: known.flatMap(({ trial_id: id, curves }) =>
      Object.entries(curves).map(([name, curve]) => ({ name, seed: seeds.get(id)!, curve })),
    ),
    confusions: sumConfusions(known.flatMap(({ confusions }) => confusions)),
    mask: averageMasks(known.flatMap(({ mask }) => mask ?? [])),
  };
}

function sumConfusions(all: readonly Confusion[]): RowDiagnostics['confusions'] {
  return [...groupBy(all, ({ split }) => split)].map(([split, same]) => {
    const { labels } = same[0]!;
    const without = labels.map((_, i) => total(same.map((each) => each.without_prediction?.[i])));
    return {
      split,
      labels,
      counts: labels.map((_, i) =>
        labels.map((__, j) => total(same.map(({ counts }) => counts[i]![j]))),
      ),
      ...(without.some((n) => n > 0) ? { without_prediction: without } : {}),
      n: same.length,
    };
  });
}

const total = (values: readonly (number | undefined)[]): number =>
  values.reduce<number>((sum, value) => sum + (value ?? 0), 0);

/** Masks of a row are of the same weights. */
function averageMasks(masks: readonly MaskDiagnostics[]): RowDiagnostics['mask'] {
  if (masks.length === 0) return null;
  return {
    matrices: averageCounts(masks.map(({ matrices }) => matrices)),
    units: averageCounts(masks.map(({ units }) => units)),
    n: masks.length,
  };
}

function averageCounts<Counts extends number[]>(
  all: readonly Record<string, Counts>[],
): Record<string, Counts> {
  const means = Object.entries(all[0]!).map(([name, counts]) => {
    const each = all.map((counted) => counted[name]!);
    return [name, counts.map((_, i) => total(each.map((n) => n[i])) / all.length)];
  });
  return Object.fromEntries(means) as Record<string, Counts>;
}

function summarizeOverlaps(
  rows: readonly RowSummary[],
  overlaps: readonly Overlap[],
): OverlapSummary[] {
  const titles = new Map(rows.flatMap((row) => row.trial_ids.map((id) => [id, rowTitle(row)])));
  const found = overlaps.flatMap(({ between, first, second, jaccard, by_chance }) => {
    const [a, b] = [titles.get(first), titles.get(second)];
    if (a === undefined || b === undefined || jaccard === null || by_chance === null) return [];
    return [{ between, rows: between === 'seeds' ? [a] : [a, b], jaccard, by_chance }];
  });
  const groups = groupBy(found, ({ between, rows }) => JSON.stringify([between, rows]));
  return [...groups.values()].map((same) => {
    const values = same.map(({ jaccard }) => jaccard);
    return {
      between: same[0]!.between,
      rows: same[0]!.rows,
      n: same.length,
      mean: total(values) / same.length,
      least: Math.min(...values),
      most: Math.max(...values),
      by_chance: total(same.map(({ by_chance }) => by_chance)) / same.length,
    };
  });
}
