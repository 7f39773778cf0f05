/** Draws the deciding metric against each axis of training that is compared, not searched. */
import { axisTitle } from './axes';
import { metricTitle, rowTitle } from './format';
import {
  buildPoint,
  chooseScale,
  drawAxes,
  type SearchPanel,
  type SearchPoint,
} from './search-plot';
import type { RowSummary, SweepSummary, TaskSummary } from './summary-types';

/** More lines than these cannot be told apart; the first rows of the table are drawn. */
const LINES = 12;

/** null if no axis has several values with a result. */
export async function renderAxes(summary: Pick<SweepSummary, 'tasks'>): Promise<string | null> {
  const panels = summary.tasks.flatMap(axisPanels);
  if (panels.length === 0) return null;
  const subtitle = 'Mean ± std over seeds; at each value the best of the other axes’ values.';
  return drawAxes(panels, 'Axes', subtitle);
}

/** A panel for each axis of a task that is not searched. */
export function axisPanels({ task, metrics, axes = [], rows, search }: TaskSummary): SearchPanel[] {
  const metric = metrics[0]!;
  const known = rows.filter((row) => row.metrics[metric] !== undefined);
  return axes
    .filter((axis) => !search?.over.includes(axis))
    .flatMap((axis) => {
      const lines = [...new Set(known.map(nameLine))];
      const shown = new Set(lines.slice(0, LINES));
      const points = keepBest(
        known.filter((row) => shown.has(nameLine(row))),
        axis,
        metric,
      );
      if (new Set(points.map(({ at }) => at)).size < 2) return [];
      const left = lines.length > LINES ? `, the first ${LINES} of ${lines.length} lines` : '';
      return [
        {
          title: `${task}, ${metricTitle(metric)} against ${axisTitle(axis)}${left}`,
          axis,
          metric: metricTitle(metric),
          scale: chooseScale(points.map(({ at }) => at)),
          points,
        },
      ];
    });
}

/** Rows that differ only in their axes are one line. */
const nameLine = (row: RowSummary): string => rowTitle({ ...row, label: row.name ?? row.label });

function keepBest(rows: readonly RowSummary[], axis: string, metric: string): SearchPoint[] {
  const best = new Map<string, RowSummary>();
  for (const row of rows) {
    if (row.axes?.[axis] === undefined) continue;
    const key = JSON.stringify([nameLine(row), row.axes[axis]]);
    const other = best.get(key);
    if (!other || row.metrics[metric]!.mean > other.metrics[metric]!.mean) best.set(key, row);
  }
  return [...best.values()].map((row) => {
    const named = { row: nameLine(row), pruner: row.pruner };
    const point = buildPoint(named, axis, row.axes![axis]!, row.metrics[metric]!);
    return { ...point, chosen: false };
  });
}
