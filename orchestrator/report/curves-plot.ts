/** Draws how loss and metrics went over training: a line for each row, thin ones for its seeds. */
import type { RowDiagnostics, TaskDiagnostics } from './diagnostics-summary';
import { metricTitle } from './format';
import { drawPanels } from './plot-panels';
import { chooseStyles, encodeSeries, MARKER_SIZE, type Layer, type Styles } from './plot-theme';

/** More lines than these cannot be told apart; the first rows of the table are drawn. */
const ROWS = 12;
/** So many of a row's seeds are drawn; the mean is over all of them. */
const SEEDS = 10;

interface CurvePoint {
  kind: 'dense' | 'sparse';
  /** The row. */
  series: string;
  /** `row, seed 3`; the row itself for the mean over its seeds. */
  line: string;
  step: number;
  value: number;
}

export interface CurvePanel {
  title: string;
  axis: string;
  seeds: CurvePoint[];
  means: CurvePoint[];
}

/** null if no trial has a curve. */
export async function renderCurves(tasks: readonly TaskDiagnostics[]): Promise<string | null> {
  const panels = curvePanels(tasks);
  if (panels.length === 0) return null;
  const styles = chooseStyles(panels.flatMap(({ means }) => means));
  const drawn = panels.map((each) => ({ title: each.title, layer: buildLayers(each, styles) }));
  const subtitle =
    `Thick: mean over the seeds of a row. Thin: each seed, at most ${SEEDS}. ` + 'Against steps.';
  return drawPanels('Curves', subtitle, drawn, styles);
}

/** A panel for each task and name. */
export function curvePanels(tasks: readonly TaskDiagnostics[]): CurvePanel[] {
  return tasks.flatMap(({ task, rows }) => {
    const names = [...new Set(rows.flatMap(({ curves }) => curves.map(({ name }) => name)))];
    return names.map((name): CurvePanel => {
      const withCurve = rows.filter(({ curves }) => curves.some((curve) => curve.name === name));
      const shown = withCurve.slice(0, ROWS);
      const left = withCurve.length > ROWS ? `, the first ${ROWS} of ${withCurve.length} rows` : '';
      const [evaluated, trained] = [countCurves(rows, name), countCurves(rows, 'loss')];
      // Trials that were done before the sweep evaluated on the way are not trained again.
      const some = evaluated < trained ? `, ${evaluated} of ${trained} trials` : '';
      const axis = name === 'loss' ? 'training loss' : metricTitle(name);
      const points = shown.map((row) => listSeeds(row, name));
      return {
        title: `${task}, ${axis}${left}${some}`,
        axis,
        seeds: points.flatMap((own) => own.slice(0, SEEDS).flat()),
        means: points.flatMap(averageSeeds),
      };
    });
  });
}

const countCurves = (rows: readonly RowDiagnostics[], name: string): number =>
  rows.flatMap(({ curves }) => curves.filter((curve) => curve.name === name)).length;

/** The points of each seed. */
function listSeeds({ row, pruner, curves }: RowDiagnostics, name: string): CurvePoint[][] {
  const factor = name === 'loss' ? 1 : 100;
  const kind = pruner === 'none' ? 'dense' : 'sparse';
  return curves
    .filter((each) => each.name === name)
    .map(({ seed, curve: { steps, values } }) =>
      steps.map((step, i) => ({
        ...{ kind, series: row, line: `${row}, seed ${seed}` },
        ...{ step, value: factor * values[i]! },
      })),
    );
}

/** At the steps that all seeds have. */
function averageSeeds(seeds: readonly CurvePoint[][]): CurvePoint[] {
  const sums = new Map<number, { sum: number; n: number }>();
  for (const { step, value } of seeds.flat()) {
    const { sum, n } = sums.get(step) ?? { sum: 0, n: 0 };
    sums.set(step, { sum: sum + value, n: n + 1 });
  }
  const first = seeds[0]![0]!;
  return [...sums]
    .filter(([, { n }]) => n === seeds.length)
    .map(([step, { sum }]) => ({ ...first, line: first.series, step, value: sum / seeds.length }));
}

function buildLayers({ axis, seeds, means }: CurvePanel, styles: Styles): Layer[] {
  const { color, shape } = encodeSeries(styles);
  const x = { field: 'step', type: 'quantitative', title: 'step', axis: { tickCount: 6 } } as const;
  const y = {
    field: 'value',
    type: 'quantitative',
    title: axis,
    scale: { zero: false },
    axis: { tickCount: 6 },
  } as const;
  const draw = (points: readonly CurvePoint[], strokeWidth: number, opacity: number): Layer => ({
    data: { values: [...points] },
    mark: { type: 'line', strokeWidth, opacity },
    encoding: { x, y, color, detail: { field: 'line', type: 'nominal' } },
  });
  // Colours repeat, and their lines are told apart by the markers at their ends.
  const ends = [...new Map(means.map((point) => [point.series, point])).values()];
  return [
    draw(seeds, 1, 0.4),
    draw(means, 2.5, 1),
    {
      data: { values: ends },
      mark: { type: 'point', filled: true, size: MARKER_SIZE, opacity: 1 },
      encoding: { x, y, color, shape },
    },
  ];
}
