/** The sections of report.html on single rows: confused classes and masks, folded. */
import { plural } from '../base/plural';
import type { OverlapSummary, RowDiagnostics, TaskDiagnostics } from './diagnostics-summary';
import { formatCount, metricTitle } from './format';
import { escapeHtml, renderFolded, renderHtmlTable } from './html-parts';

/** More classes than these are shown as the pairs that are confused most often. */
const CLASSES = 12;
const PAIRS = 20;
/** So many rows of a task are shown; diagnostics.jsonl has every trial. */
const ROWS = 100;

export function renderDiagnostics(tasks: readonly TaskDiagnostics[]): string[] {
  return tasks.flatMap((task) => {
    const rows = task.rows.slice(0, ROWS);
    const more = nameMissing(task);
    const sections = [...renderConfusions(task, rows, more), ...renderMasks(task, rows, more)];
    return sections.length === 0
      ? []
      : [`<h2>${escapeHtml(task.task)}, in detail</h2>`, ...sections];
  });
}

/** Rows that are left out, and trials that the writer of the report had no time for. */
function nameMissing({ rows }: TaskDiagnostics): string[] {
  const [done, known] = (['done', 'known'] as const).map((key) =>
    rows.reduce((sum, row) => sum + row[key], 0),
  ) as [number, number];
  const missing = [
    ...(rows.length > ROWS
      ? [`The first ${ROWS} of ${rows.length} rows; diagnostics.jsonl has every trial.`]
      : []),
    ...(known < done
      ? [`Of ${known} of ${plural(done, 'finished trial')}; \`sa-orch report\` adds the others.`]
      : []),
  ];
  return missing.length === 0 ? [] : [`<p>${missing.join(' ')}</p>`];
}

function renderConfusions(
  { task, metrics }: TaskDiagnostics,
  rows: readonly RowDiagnostics[],
  more: readonly string[],
): string[] {
  const known = rows.filter(({ confusions }) => confusions.length > 0);
  if (known.length === 0) return [];
  const content = known.flatMap(({ row, confusions }) =>
    confusions.map((confusion) => {
      const rowsOf = `${confusion.split} rows, summed over ${plural(confusion.n, 'trial')}`;
      return `<h3>${escapeHtml(`${row}: ${rowsOf}`)}</h3>\n${renderConfusion(confusion)}`;
    }),
  );
  return [
    renderFolded(`${task}: which classes are taken for which`, [
      '<p>Rows of each true class by predicted class, and the part of it that is right. Rows of ' +
        `the table are compared, and called best, by ${escapeHtml(metricTitle(metrics[0]!))}.</p>`,
      ...more,
      ...content,
    ]),
  ];
}

function renderConfusion(confusion: RowDiagnostics['confusions'][number]): string {
  const { labels, counts, without_prediction: without } = confusion;
  if (labels.length > CLASSES) return renderPairs(confusion);
  const header = ['true class', ...labels.map((name) => `as ${name}`)];
  return renderHtmlTable(
    [...header, ...(without ? ['no prediction'] : []), 'right'],
    labels.map((name, i) => {
      const own = [...counts[i]!, ...(without ? [without[i]!] : [])];
      return [name, ...own.map(formatCount), showPart(counts[i]![i]!, own)];
    }),
  );
}

const showPercent = (part: number, of: number) => `${((100 * part) / of).toFixed(1)} %`;

function showPart(right: number, of: readonly number[]): string {
  const all = of.reduce((sum, n) => sum + n, 0);
  return all === 0 ? 'no row' : showPercent(right, all);
}

function renderPairs({ labels, counts }: RowDiagnostics['confusions'][number]): string {
  const pairs = counts
    .flatMap((row, i) => row.map((n, j) => ({ true: labels[i]!, as: labels[j]!, n, i, j })))
    .filter(({ n, i, j }) => i !== j && n > 0)
    .toSorted((a, b) => b.n - a.n);
  return renderHtmlTable(
    ['true class', 'taken for', `rows (the most frequent of ${plural(pairs.length, 'pair')})`],
    pairs.slice(0, PAIRS).map((pair) => [pair.true, pair.as, formatCount(pair.n)]),
  );
}

function renderMasks(
  { task, overlaps, overlaps_left: left }: TaskDiagnostics,
  rows: readonly RowDiagnostics[],
  more: readonly string[],
): string[] {
  const masked = rows.filter(({ mask }) => mask !== null);
  if (masked.length === 0) return [];
  return [
    renderFolded(`${task}: masks`, [
      '<p>Density is the part of a matrix’s weights that is kept, as a mean over the row’s ' +
        'masks. A bottleneck unit is alive with any kept weight; something passes through it ' +
        'with a kept weight both before and behind it.</p>',
      ...more,
      ...(overlaps.length > 0 ? [renderOverlaps(overlaps)] : []),
      ...(left > 0
        ? [`<p>${plural(left, 'pair')} of masks not measured yet; \`sa-orch report\` does so.</p>`]
        : []),
      ...masked.map(renderMask),
    ]),
  ];
}

/** A table of layers by matrices. */
function renderMask({ row, mask }: RowDiagnostics): string {
  const { matrices, units, n } = mask!;
  const [byLayer, unitsByLayer] = [groupByLayer(matrices), groupByLayer(units)];
  const kinds = listKinds(byLayer);
  const modules = listKinds(unitsByLayer);
  const layers = [...byLayer].map(([layer, counts]) => [
    layer,
    ...kinds.map((kind) => showDensity([counts.get(kind)])),
    showDensity([...counts.values()]),
    ...modules.map((module) => showUnits(unitsByLayer.get(layer)?.get(module))),
  ]);
  const all = [
    'all',
    ...kinds.map((kind) => showDensity([...byLayer.values()].map((each) => each.get(kind)))),
    showDensity(Object.values(matrices)),
    ...modules.map(() => ''),
  ];
  const ofUnits = modules.map((module) => `units alive, passing of ${module}`);
  const header = ['layer', ...kinds, 'density', ...ofUnits];
  const title = escapeHtml(`${row}, ${plural(n, 'mask')}`);
  return `<h3>${title}</h3>\n${renderHtmlTable(header, [...layers, all])}`;
}

/** What is named `layers.3.ffn.down` is `ffn.down` of `layers.3`. */
function groupByLayer<Counts>(named: Record<string, Counts>): Map<string, Map<string, Counts>> {
  const layers = new Map<string, Map<string, Counts>>();
  for (const [name, counts] of Object.entries(named)) {
    const found = /^(.*?layers\.\d+)\.(.+)$/.exec(name);
    const layer = found?.[1] ?? 'others';
    const kinds = layers.get(layer) ?? new Map<string, Counts>();
    layers.set(layer, kinds.set(found?.[2] ?? name, counts));
  }
  return layers;
}

const listKinds = (layers: ReadonlyMap<string, ReadonlyMap<string, unknown>>): string[] => [
  ...new Set([...layers.values()].flatMap((kinds) => [...kinds.keys()])),
];

function showDensity(counts: readonly ([kept: number, of: number] | undefined)[]): string {
  const known = counts.flatMap((each) => (each === undefined ? [] : [each]));
  if (known.length === 0) return '–';
  const [kept, of] = [0, 1].map((i) => known.reduce((sum, each) => sum + each[i]!, 0)) as [
    number,
    number,
  ];
  return showPercent(kept, of);
}

function showUnits(units: [alive: number, passing: number, of: number] | undefined): string {
  if (units === undefined) return '–';
  const [alive, passing, of] = units.map((n) => String(Number(n.toFixed(1))));
  return `${alive}, ${passing} of ${of}`;
}

function renderOverlaps(overlaps: readonly OverlapSummary[]): string {
  const show = (value: number) => value.toFixed(3);
  const rows = overlaps.map(({ between, rows, n, mean, least, most, by_chance }) => [
    between === 'seeds' ? `${rows[0]!}, between seeds` : `${rows.join(' and ')}, by seed`,
    String(n),
    show(mean),
    n === 1 ? '' : `${show(least)} to ${show(most)}`,
    show(by_chance),
  ]);
  return [
    '<h3>Overlap (Jaccard): weights that two masks keep, of those that either keeps</h3>',
    renderHtmlTable(['masks', 'pairs', 'mean', 'from', 'by chance'], rows),
  ].join('\n');
}
