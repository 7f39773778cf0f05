/** Draws plot.svg, one panel per task, with Vega-Lite. */
import type { TopLevelSpec } from 'vega-lite';
import { DEGENERATE_MARK } from './format';
import {
  DASHED,
  INK,
  chooseStyles,
  chooseTheme,
  drawSpec,
  encodeSeries,
  logarithmicTicks,
  MARKER_SIZE,
  type Layer,
  type Styles,
} from './plot-theme';
import { PANEL_HEIGHT, PANEL_WIDTH, plotPanels, type PlotPanel } from './plot-data';
import type { SweepSummary } from './summary-types';

const COLUMNS = 2;

/** Returns the file's text. The same summary gives the same text. */
export async function renderPlot(summary: SweepSummary): Promise<string> {
  const panels = plotPanels(summary);
  return drawSpec(buildSpec(summary, panels));
}

function buildSpec(summary: SweepSummary, panels: readonly PlotPanel[]): TopLevelSpec {
  const styles = chooseStyles(panels.flatMap(({ points }) => points));
  const marked = panels.some(({ points }) => points.some(({ degenerate }) => degenerate));
  return {
    title: {
      text: `Sweep ${summary.sweep_id}`,
      subtitle: [
        'Mean ± std over seeds. Dashed: mean and weights of the dense adapter.',
        'Rows that keep equally many weights are side by side.' +
          (marked ? ` ${DEGENERATE_MARK} degenerate.` : ''),
      ],
    },
    concat: panels.map((panel) => ({
      title: panel.title,
      width: PANEL_WIDTH,
      height: PANEL_HEIGHT,
      layer: buildLayers(panel, styles),
    })),
    columns: COLUMNS,
    spacing: 30,
    ...chooseTheme(styles),
  };
}

function buildLayers({ metric, points, references, x, y }: PlotPanel, styles: Styles): Layer[] {
  const { color, shape } = encodeSeries(styles);
  const at = {
    field: 'at',
    type: 'quantitative',
    title: `weights kept${x.scale === 'log' ? ' (logarithmic)' : ''}`,
    // Vega-Lite warns if `zero` is set for a logarithmic scale, which has no zero.
    scale: {
      type: x.scale,
      domain: x.domain,
      nice: false,
      zero: x.scale === 'log' ? undefined : false,
    },
    axis: {
      format: '~s',
      ...(x.scale === 'log' ? { values: logarithmicTicks(x.domain) } : { tickCount: 6 }),
    },
  } as const;
  const value = (field: string) =>
    ({
      field,
      type: 'quantitative',
      title: metric,
      scale: { domain: y, nice: false, zero: false },
      axis: { tickCount: 6, labelFlush: true },
    }) as const;
  const bars = points.flatMap(({ bar, ...point }) =>
    bar === null ? [] : [{ ...point, low: bar[0], high: bar[1] }],
  );
  const dashed = { type: 'rule' as const, color: DASHED[0], strokeDash: [5, 4] };
  return [
    {
      data: { values: references.map(({ kept }) => ({ at: kept })) },
      mark: dashed,
      encoding: { x: at },
    },
    {
      data: { values: references.flatMap(({ mean }) => (mean === null ? [] : [{ mean }])) },
      mark: dashed,
      encoding: { y: value('mean') },
    },
    {
      data: { values: points.filter(({ kind }) => kind === 'sparse') },
      mark: { type: 'line', strokeWidth: 1.5 },
      encoding: { x: at, y: value('mean'), color },
    },
    {
      data: { values: bars },
      mark: 'rule',
      encoding: { x: at, y: value('low'), y2: { field: 'high' }, color },
    },
    ...['low', 'high'].map((end): Layer => ({
      data: { values: bars },
      mark: { type: 'tick', orient: 'horizontal', size: 7, thickness: 1 },
      encoding: { x: at, y: value(end), color },
    })),
    {
      data: { values: points },
      mark: { type: 'point', filled: true, size: MARKER_SIZE, opacity: 1 },
      encoding: {
        x: at,
        y: value('mean'),
        color,
        shape,
        description: { field: 'description', type: 'nominal' },
      },
    },
    {
      data: { values: points.filter(({ degenerate }) => degenerate) },
      mark: { type: 'text', text: DEGENERATE_MARK, dx: 9, color: INK[0] },
      encoding: { x: at, y: value('mean') },
    },
  ];
}
