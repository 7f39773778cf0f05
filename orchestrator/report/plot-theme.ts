/** How plots look, and how Vega-Lite, which is loaded only when needed, draws them. */
import type { TopLevelSpec } from 'vega-lite';
import type { PlotPoint, PointKind } from './plot-data';

export type Layer = Extract<TopLevelSpec, { layer: unknown }>['layer'][number];

/** Colours in the file (on white), and their replacements for readers with a dark colour scheme. */
const BACKGROUND = ['#ffffff', '#0d1117'] as const;
export const INK = ['#1f2328', '#e6edf3'] as const;
const FAINT = ['#d8dee4', '#30363d'] as const;
export const DASHED = ['#6e7781', '#9198a1'] as const;

/**
 * Cool colours for sparse adapters; warm ones and triangles for Large-Sparse. Each series takes the
 * next colour and the next shape. Their counts have no common divisor, so it takes many series
 * until two look the same.
 */
const STYLES: Record<
  PointKind,
  { colors: readonly (readonly [light: string, dark: string])[]; shapes: readonly string[] }
> = {
  dense: { colors: [INK], shapes: ['diamond', 'triangle-left', 'square'] },
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

/** In square pixels: large enough to tell shapes apart. */
export const MARKER_SIZE = 100;

/** Characters of a legend's line, at which it is about as wide as two panels. */
const LEGEND_WIDTH = 130;

/** What all plots have in common, with a legend no wider than they are. */
export function chooseTheme(styles: Styles) {
  const longest = Math.max(1, ...styles.map(({ series }) => series.length));
  const columns = Math.max(1, Math.min(3, Math.floor(LEGEND_WIDTH / (longest + 4))));
  const { config } = THEME;
  return { ...THEME, config: { ...config, legend: { ...config.legend, columns } } };
}

const THEME = {
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
      labelLimit: 0,
      title: null,
    },
    view: { stroke: FAINT[0] },
  },
} as const satisfies Partial<TopLevelSpec>;

/** Returns an SVG file's text. The same specification gives the same text. */
export async function drawSpec(spec: TopLevelSpec): Promise<string> {
  const [{ compile }, { parse, View }] = await Promise.all([import('vega-lite'), import('vega')]);
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  try {
    return withDarkColors(await view.toSVG());
  } finally {
    view.finalize();
  }
}

export type Styles = { series: string; color: string; shape: string }[];

/** Each series in its colour and shape. */
export function encodeSeries(styles: Styles) {
  const domain = styles.map(({ series }) => series);
  const encode = (range: string[]) =>
    ({ field: 'series', type: 'nominal', scale: { domain, range } }) as const;
  return {
    color: encode(styles.map(({ color }) => color)),
    shape: encode(styles.map(({ shape }) => shape)),
  };
}

/** Each series in its order of appearance. */
export function chooseStyles(points: readonly Pick<PlotPoint, 'series' | 'kind'>[]): Styles {
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

/** The multiples by 1, 2 and 5 of powers of ten in a range. */
export function logarithmicTicks([from, to]: [number, number]): number[] {
  const first = Math.floor(Math.log10(from));
  const powers = Array.from(
    { length: Math.ceil(Math.log10(to)) - first + 1 },
    // Written out, because 10 ** −4 is not exactly 0.0001.
    (_, i) => Number(`1e${first + i}`),
  );
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
