/** What plot.svg shows for a task, as data: points, bars, reference lines, axes. Pure. */
import { formatMean, isDegenerate, metricTitle, rowTitle } from './format';
import type { RowSummary, SweepSummary, TaskSummary } from './summary-types';

/** `large_sparse`: a wider adapter, pruned to as many weights as a dense one. */
export type PointKind = 'dense' | 'sparse' | 'large_sparse';

/** A row of the task's table with a result. Metrics are × 100, as in the table. */
export interface PlotPoint {
  kind: PointKind;
  /**
   * Points of a series share colour and shape; sparse points are joined in the order of their
   * weights.
   */
  series: string;
  /** `snip 40 %, bottleneck 64: 83.0 ± 1.7, n = 3`. */
  description: string;
  /** Weights kept. */
  kept: number;
  /** Where it is drawn: `kept`, moved by a few pixels if several rows keep the same number. */
  at: number;
  mean: number;
  /** Mean − std and mean + std; null for one seed. */
  bar: [low: number, high: number] | null;
  /** Whether the table marks the row. */
  degenerate: boolean;
}

/**
 * A dense adapter that other rows are compared with. Its mean (null without a result) and its
 * budget are dashed lines.
 */
export interface PlotReference {
  mean: number | null;
  kept: number;
}

export interface PlotPanel {
  title: string;
  metric: string;
  points: PlotPoint[];
  references: PlotReference[];
  /** The axis of kept weights, with its range. */
  x: { scale: 'linear' | 'log'; domain: [number, number] };
  /** The range of the metric's axis. */
  y: [number, number];
}

/** Inner width of a panel in pixels, from which moves of `at` are computed. */
export const PANEL_WIDTH = 400;
export const PANEL_HEIGHT = 240;
/** Pixels between points with equally many weights. */
const APART = 5;
/** An axis is logarithmic if its ends are this many times apart. */
const LOG_FROM = 10;
/** Fraction of an axis left free at each end. */
const MARGIN = 0.08;

export function plotPanels({ tasks, datasets }: SweepSummary): PlotPanel[] {
  // A task has no row until its search is decided.
  const shown = tasks.filter(({ rows }) => rows.length > 0);
  return shown.map((task) =>
    buildPanel(task, datasets.find((dataset) => dataset.task === task.task)?.source === 'demo'),
  );
}

function buildPanel(task: TaskSummary, demo: boolean): PlotPanel {
  const deciding = task.metrics[0]!;
  const x = weightsAxis(task.rows.map(({ budget }) => budget.kept));
  const points = sideBySide(buildPoints(task, deciding), x);
  const references = listReferences(task, deciding);
  const values = [
    ...points.flatMap(({ mean, bar }) => bar ?? [mean]),
    ...references.flatMap(({ mean }) => mean ?? []),
  ];
  return {
    title: [
      task.task,
      metricTitle(deciding),
      nameSeeds(task.rows),
      ...(demo ? ['demo rows'] : []),
    ].join(', '),
    metric: metricTitle(deciding),
    points,
    references,
    x,
    y: values.length === 0 ? [0, 100] : padded(Math.min(...values), Math.max(...values), 1),
  };
}

function buildPoints({ rows }: TaskSummary, deciding: string): PlotPoint[] {
  const dense = new Set(
    rows.filter(({ pruner }) => pruner === 'none').map(({ budget }) => budget.kept),
  );
  const choosePointKind = ({ pruner, sparsity, budget }: RowSummary): PointKind => {
    if (pruner === 'none') return 'dense';
    return sparsity > 0 && dense.has(budget.kept) ? 'large_sparse' : 'sparse';
  };
  return rows.flatMap((row) => {
    const value = row.metrics[deciding];
    if (value === undefined) return [];
    const kind = choosePointKind(row);
    const widths = new Set(
      rows
        .filter((other) => other.label === row.label && choosePointKind(other) === kind)
        .map(({ bottleneck }) => bottleneck),
    );
    const name = kind === 'large_sparse' ? `${row.label} Large-Sparse` : row.label;
    const mean = 100 * value.mean;
    return {
      kind,
      series: widths.size > 1 ? `${name}, bottleneck ${row.bottleneck}` : name,
      description: `${rowTitle(row)}: ${formatMean(value)}, n = ${value.n}`,
      kept: row.budget.kept,
      at: row.budget.kept,
      mean,
      bar: value.std === null ? null : [mean - 100 * value.std, mean + 100 * value.std],
      degenerate: isDegenerate(row),
    };
  });
}

/** The dense rows that other rows are compared with, in the table or at the dense budget. */
function listReferences(
  { rows, at_dense_budget: comparisons }: TaskSummary,
  deciding: string,
): PlotReference[] {
  const names = new Set([...rows, ...comparisons].map(({ reference }) => reference));
  return rows
    .filter((row) => row.pruner === 'none' && names.has(rowTitle(row)))
    .map(({ metrics, budget }) => ({
      mean: metrics[deciding] ? 100 * metrics[deciding].mean : null,
      kept: budget.kept,
    }));
}

function weightsAxis(kept: readonly number[]): PlotPanel['x'] {
  const [low, high] = [Math.min(...kept), Math.max(...kept)];
  if (low > 0 && high >= LOG_FROM * low) {
    const margin = (high / low) ** MARGIN;
    return { scale: 'log', domain: [low / margin, high * margin] };
  }
  const [from, to] = padded(low, high, Math.max(high, 1));
  return { scale: 'linear', domain: [Math.max(from, 0), to] };
}

/** @param least minimum range to show */
function padded(low: number, high: number, least: number): [number, number] {
  const margin = high > low ? MARGIN * (high - low) : least / 2;
  return [low - margin, high + margin];
}

/**
 * Moves points with equally many weights apart: the table's first, usually the dense one, keeps its
 * place, and the others go beside it.
 */
function sideBySide(
  points: readonly PlotPoint[],
  { scale, domain: [from, to] }: PlotPanel['x'],
): PlotPoint[] {
  return points.map((point) => {
    const place = points.filter(({ kept }) => kept === point.kept).indexOf(point);
    const steps = place % 2 === 1 ? (place + 1) / 2 : -place / 2;
    const moved = (steps * APART) / PANEL_WIDTH;
    return {
      ...point,
      at: scale === 'log' ? point.kept * (to / from) ** moved : point.kept + moved * (to - from),
    };
  });
}

/** `n = 3`, or `n = 1 to 3` if trials are missing. */
function nameSeeds(rows: readonly RowSummary[]): string {
  const seeds = rows.map(({ done }) => done).filter((done) => done > 0);
  if (seeds.length === 0) return 'no result yet';
  const [least, most] = [Math.min(...seeds), Math.max(...seeds)];
  return least === most ? `n = ${least}` : `n = ${least} to ${most}`;
}
