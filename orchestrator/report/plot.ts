/** Draws plot.svg, one panel per task, with Vega-Lite, which is loaded only when needed. */
import type { TopLevelSpec } from 'vega-lite';
import { DEGENERATE_MARK } from './format';
import {
  PANEL_WIDTH,
  plotPanels,
  type PlotPanel,
  type PlotPoint,
  type PointKind,
} from './plot-data';
import type { SweepSummary } from './summary';

type Layer = Extract<TopLevelSpec, { layer: unknown }>['layer'][number];

const PANEL_HEIGHT = 240;
const COLUMNS = 2;

/** Colours in the file (on white), and their replacements for readers with a dark colour scheme. */
const BACKGROUND = ['#ffffff', '#0d1117'] as const;
const INK = ['#1f2328', '#e6edf3'] as const;
const FAINT = ['#d8dee4', '#30363d'] as const;
const DASHED = ['#6e7781', '#9198a1'] as const;

/**
 * Cool colours for sparse adapters; warm ones and triangles for Large-Sparse. Each series takes the
 * next colour and the next shape. Their counts have no common divisor, so it takes many series
 * until two look the same.
 */
const STYLES: Record<
  PointKind,
  { colors: readonly (readonly [light: string, dark: string])[]; shapes: readonly string[] }
> = {
  dense: { colors: [INK], shapes: ['diamond', 'wedge', 'arrow'] },
  sparse: {
    colors: [
      ['#0072b2', '#58a6ff'],
      ['#009e73', '#3fd6a4'],
      ['#8250df', '#bc8cff'],
      ['#7a7a00', '#c9c94a'],
      ['#3d8fc2', '#a5d8ff'],
      ['#57606a', '#b1bac4'],
      ['#117a8b', '#39c5cf'],
    ],
    shapes: ['circle', 'square', 'cross'],
  },
  large_sparse: {
    colors: [
      ['#d55e00', '#ff8f4d'],
      ['#bf3989', '#ff80c8'],
      ['#a40e26', '#ff7b72'],
      ['#b97400', '#f2b134'],
    ],
    shapes: ['triangle-up', 'triangle-down', 'triangle-right'],
  },
};

/** Returns the file's text. The same summary gives the same text. */
export async function renderPlot(summary: SweepSummary): Promise<string> {
  const panels = plotPanels(summary);
  const [{ compile }, { parse, View }] = await Promise.all([import('vega-lite'), import('vega')]);
  const view = new View(parse(compile(buildSpec(summary, panels)).spec), { renderer: 'none' });
  try {
    return withDarkColors(await view.toSVG());
  } finally {
    view.finalize();
  }
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
    background: BACKGROUND[0],
    padding: 12,
    config: {
      font: 'system-ui, sans-serif',
      title: {
        color: INK[0],
        subtitleColor: INK[0],
        anchor: 'start',
        fontSize: 13,
        subtitleFontSize: 11,
        offset: 12,
      },
      axis: {
        labelColor: INK[0],
        titleColor: INK[0],
        domainColor: DASHED[0],
        tickColor: DASHED[0],
        gridColor: FAINT[0],
      },
      legend: {
        labelColor: INK[0],
        symbolOpacity: 1,
        orient: 'bottom',
        columns: 3,
        labelLimit: 0,
        title: null,
      },
      view: { stroke: FAINT[0] },
    },
  };
}

type Styles = { series: string; color: string; shape: string }[];

/** Each series in its order of appearance. */
function chooseStyles(points: readonly PlotPoint[]): Styles {
  const kinds = new Map(points.map(({ series, kind }) => [series, kind]));
  const used: Record<PointKind, number> = { dense: 0, sparse: 0, large_sparse: 0 };
  return [...kinds].map(([series, kind]) => {
    const { colors, shapes } = STYLES[kind];
    const index = used[kind]++;
    return {
      series,
      color: colors[index % colors.length]![0],
      shape: shapes[index % shapes.length]!,
    };
  });
}

function buildLayers({ metric, points, references, x, y }: PlotPanel, styles: Styles): Layer[] {
  const domain = styles.map(({ series }) => series);
  const color = {
    field: 'series',
    type: 'nominal',
    scale: { domain, range: styles.map(({ color }) => color) },
  } as const;
  const shape = {
    field: 'series',
    type: 'nominal',
    scale: { domain, range: styles.map(({ shape }) => shape) },
  } as const;
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
      mark: { type: 'point', filled: true, size: 70, opacity: 1 },
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

/** The multiples by 1, 2 and 5 of powers of ten in a range. */
function logarithmicTicks([from, to]: [number, number]): number[] {
  const powers = Array.from({ length: Math.ceil(Math.log10(to)) + 1 }, (_, power) => 10 ** power);
  return powers
    .flatMap((power) => [power, 2 * power, 5 * power])
    .filter((tick) => tick >= from && tick <= to);
}

/**
 * Replaces each colour for readers with a dark colour scheme. Vega writes colours as attributes,
 * which any style sheet overrides.
 */
function withDarkColors(svg: string): string {
  const colors = [
    BACKGROUND,
    INK,
    FAINT,
    DASHED,
    ...STYLES.sparse.colors,
    ...STYLES.large_sparse.colors,
  ];
  const rules = colors.flatMap(([light, dark]) => [
    `svg [fill="${light}"]{fill:${dark}}`,
    `svg [stroke="${light}"]{stroke:${dark}}`,
  ]);
  const style = `<style>@media (prefers-color-scheme: dark){${rules.join('')}}</style>`;
  return `${svg.replace('>', `>${style}`)}\n`;
}
