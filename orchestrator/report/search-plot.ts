/** Draws search.svg: the metric on held-out rows against each searched axis, one line a row. */
import { axisTitle, formatValue } from './axes';
import { formatMean, metricTitle } from './format';
import { drawPanels } from './plot-panels';
import {
  chooseStyles,
  encodeSeries,
  INK,
  logarithmicTicks,
  MARKER_SIZE,
  type Layer,
  type Styles,
} from './plot-theme';
import type { ChoiceSummary, SearchSummary } from './search-types';
import type { Mean } from './statistics';
import type { SweepSummary } from './summary-types';

/** A value of an axis, with the best that a row came to at it. */
export interface SearchPoint {
  kind: 'dense' | 'sparse';
  /** The row. */
  series: string;
  description: string;
  /** Text if some values of the axis are not numbers. */
  at: number | string;
  /** × 100. */
  mean: number;
  low: number;
  high: number;
  chosen: boolean;
}

export interface SearchPanel {
  title: string;
  axis: string;
  metric: string;
  scale: 'log' | 'linear' | 'words';
  points: SearchPoint[];
}

/** How much wider an axis is than its values, as a factor on a logarithmic one. */
const MARGIN = 1.25;

/** null if no candidate of any search has a result. */
export async function renderSearchPlot(summary: SweepSummary): Promise<string | null> {
  const panels = searchPanels(summary);
  if (panels.length === 0) return null;
  const subtitle = 'Mean ± std over the search’s seeds, on held-out rows. Circled: chosen.';
  return drawAxes(panels, `Search of ${summary.sweep_id}`, subtitle);
}

/** Draws metrics against axes, whether searched or compared. */
export function drawAxes(
  panels: readonly SearchPanel[],
  text: string,
  subtitle: string,
): Promise<string> {
  const styles = chooseStyles(panels.flatMap(({ points }) => points));
  const drawn = panels.map((each) => ({ title: each.title, layer: buildLayers(each, styles) }));
  return drawPanels(text, subtitle, drawn, styles);
}

/** A panel for each task and axis. */
export function searchPanels({ tasks }: Pick<SweepSummary, 'tasks'>): SearchPanel[] {
  return tasks.flatMap(({ task, search }) =>
    (search?.over ?? []).flatMap((axis) => {
      const points = search!.choices.flatMap((choice) => buildPoints(choice, axis));
      if (points.length === 0) return [];
      const metric = metricTitle(search!.metric);
      const title = `${task}, ${metric} against ${axisTitle(axis)}`;
      return [{ title, axis, metric, scale: chooseScale(listValues(search!, axis)), points }];
    }),
  );
}

/** At each value of an axis the best candidate, whatever its values of the other axes are. */
function buildPoints(
  { row, pruner, candidates, chosen }: ChoiceSummary,
  axis: string,
): SearchPoint[] {
  const best = new Map<number | string, number>();
  for (const [index, { values, metric }] of candidates.entries()) {
    const value = values[axis];
    if (metric === null || value === undefined) continue;
    const known = best.get(value);
    if (known === undefined || metric.mean > candidates[known]!.metric!.mean)
      best.set(value, index);
  }
  return [...best].map(([at, index]) => ({
    ...buildPoint({ row, pruner }, axis, at, candidates[index]!.metric!),
    chosen: index === chosen,
  }));
}

/** What a row came to at a value of an axis. */
export function buildPoint(
  { row, pruner }: { row: string; pruner: string },
  axis: string,
  at: number | string,
  metric: Mean,
): Omit<SearchPoint, 'chosen'> {
  const [mean, std] = [100 * metric.mean, 100 * (metric.std ?? 0)];
  return {
    kind: pruner === 'none' ? 'dense' : 'sparse',
    series: row,
    description: `${row}, ${axisTitle(axis)} ${formatValue(at)}: ${formatMean(metric)}`,
    ...{ at, mean, low: mean - std, high: mean + std },
  };
}

/** Numbers above 0 are on a logarithmic axis, because they are mostly tried in multiples. */
export function chooseScale(
  values: readonly (number | string | undefined)[],
): SearchPanel['scale'] {
  const numbers = values.filter((value) => typeof value === 'number');
  if (numbers.length < values.length) return 'words';
  return numbers.every((value) => value > 0) ? 'log' : 'linear';
}

const listValues = ({ choices }: SearchSummary, axis: string) =>
  choices.flatMap(({ candidates }) => candidates.map(({ values }) => values[axis]));

function buildLayers({ axis, metric, scale, points }: SearchPanel, styles: Styles): Layer[] {
  const { color, shape } = encodeSeries(styles);
  const x = placeValues(axis, scale, points);
  const y = (field: string) =>
    ({
      field,
      type: 'quantitative',
      title: metric,
      scale: { zero: false },
      axis: { tickCount: 6 },
    }) as const;
  const circle = { filled: false, size: 4 * MARKER_SIZE, shape: 'circle', stroke: INK[0] } as const;
  return [
    {
      data: { values: points },
      mark: { type: 'line', strokeWidth: 1.5 },
      encoding: { x, y: y('mean'), color },
    },
    {
      data: { values: points },
      mark: 'rule',
      encoding: { x, y: y('low'), y2: { field: 'high' }, color },
    },
    {
      data: { values: points },
      mark: { type: 'point', filled: true, size: MARKER_SIZE, opacity: 1 },
      encoding: {
        x,
        y: y('mean'),
        color,
        shape,
        description: { field: 'description', type: 'nominal' },
      },
    },
    {
      data: { values: points.filter(({ chosen }) => chosen) },
      mark: { type: 'point', opacity: 1, ...circle },
      encoding: { x, y: y('mean') },
    },
  ];
}

function placeValues(axis: string, scale: SearchPanel['scale'], points: readonly SearchPoint[]) {
  const title = axisTitle(axis);
  if (scale === 'words') return { field: 'at', type: 'nominal', title } as const;
  if (scale === 'linear')
    return { field: 'at', type: 'quantitative', title, scale: { zero: false } } as const;
  const numbers = points.map(({ at }) => Number(at));
  const range: [number, number] = [Math.min(...numbers) / MARGIN, Math.max(...numbers) * MARGIN];
  return {
    field: 'at',
    type: 'quantitative',
    title: `${title} (logarithmic)`,
    scale: { type: 'log', domain: range, nice: false },
    axis: { values: logarithmicTicks(range), format: '~g' },
  } as const;
}
