/** What report.html shows of single rows: curves, confused classes, masks. */
import type { Overlap } from '../../../orchestrator/diagnostics/overlaps';
import type { TrialDiagnostics } from '../../../orchestrator/diagnostics/types';
import { curvePanels, renderCurves } from '../../../orchestrator/report/curves-plot';
import { summarizeDiagnostics } from '../../../orchestrator/report/diagnostics-summary';
import { renderHtml } from '../../../orchestrator/report/html';
import { renderHtmlTable } from '../../../orchestrator/report/html-parts';
import { STYLE } from '../../../orchestrator/report/html-style';
import { summarize } from '../../../orchestrator/report/summary';
import type { Plan } from '../../../orchestrator/sweep/types';
import { buildPlan, buildResults } from '../support/results';

/** Of each trial, with values that tell the seed. */
function diagnose(plan: Plan, change: Partial<TrialDiagnostics> = {}) {
  return new Map(
    plan.trials.map(({ id, seed, prune }): [string, TrialDiagnostics] => [
      id,
      {
        format: 3,
        trial_id: id,
        confusions: [
          {
            split: 'validation',
            labels: ['not_equivalent', '<equivalent>'],
            counts: [
              [20, 10],
              [seed, 60 + seed],
            ],
          },
        ],
        curves: { loss: { steps: [10, 20], values: [0.7, 0.5 + seed / 10] } },
        mask:
          prune.pruner === 'none'
            ? null
            : {
                matrices: {
                  'layers.0.ffn.down': [30, 100],
                  'layers.0.ffn.up': [50, 100],
                  'layers.1.ffn.down': [seed, 100],
                  'layers.1.ffn.up': [0, 100],
                },
                units: { 'layers.0.ffn': [7, 6, 8], 'layers.1.ffn': [seed, 0, 8] },
              },
        ...change,
      },
    ]),
  );
}

function render(
  plan: Plan,
  diagnostics: ReturnType<typeof diagnose>,
  overlaps: Overlap[] = [],
  left: string[] = [],
) {
  const summary = summarize(plan, buildResults(plan), {});
  const details = summarizeDiagnostics(summary, plan, diagnostics, { overlaps, left });
  return {
    details,
    page: renderHtml(summary, '<svg/>', null, { figures: [], diagnostics: details }),
  };
}

/** The text of a table's cells, row by row, after a heading. */
function cellsAfter(page: string, heading: string): string[][] {
  const table = page.slice(page.indexOf(heading)).split('</table>')[0]!;
  return [...table.matchAll(/<tr>(.*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t[dh]>(.*?)<\/t[dh]>/g)].map(([, cell]) => cell!),
  );
}

test('a confusion matrix is summed over the seeds of a row, folded, with what is best by', () => {
  const { page } = render(buildPlan(), diagnose(buildPlan()));
  expect(page).toContain('<details><summary>mrpc: which classes are taken for which</summary>');
  expect(page).toContain('called best, by accuracy.');
  expect(cellsAfter(page, 'dense, bottleneck 64: validation rows, summed over 3 trials')).toEqual([
    ['true class', 'as not_equivalent', 'as &lt;equivalent&gt;', 'right'],
    ['not_equivalent', '60', '30', '66.7 %'],
    ['&lt;equivalent&gt;', '6', '186', '96.9 %'],
  ]);
});

test('of many classes, the pairs that are confused most often', () => {
  const labels = Array.from({ length: 20 }, (_, i) => `class ${i}`);
  const counts = labels.map((_, i) => labels.map((__, j) => (i === j ? 50 : i === 3 ? j : 0)));
  const plan = buildPlan();
  const confusions = [{ split: 'validation', labels, counts }];
  const { page } = render(plan, diagnose(plan, { confusions }));
  const [header, first] = cellsAfter(page, 'dense, bottleneck 64: validation rows');
  expect(header).toEqual(['true class', 'taken for', 'rows (the most frequent of 18 pairs)']);
  expect(first).toEqual(['class 3', 'class 19', '57']);
});

test('predictions that are no number have a column', () => {
  const plan = buildPlan();
  const counts = [
    [1, 0],
    [0, 1],
  ];
  const confusions = [
    { split: 'validation', labels: ['no', 'yes'], counts, without_prediction: [2, 0] },
  ];
  const { page } = render(plan, diagnose(plan, { confusions }));
  expect(cellsAfter(page, 'dense, bottleneck 64: validation rows').slice(0, 2)).toEqual([
    ['true class', 'as no', 'as yes', 'no prediction', 'right'],
    ['no', '3', '0', '6', '33.3 %'],
  ]);
});

test('masks are told by layer and matrix, with units alive, and overlaps', () => {
  const plan = buildPlan();
  const [first, second] = plan.trials.filter(({ prune }) => prune.sparsity === 0.4);
  const overlap: Overlap = {
    ...{ format: 2, between: 'seeds', jaccard: 0.5, by_chance: 0.43 },
    ...{ first: first!.id, second: second!.id },
  };
  const { page } = render(plan, diagnose(plan), [overlap], [first!.id, 'of-another-sweep']);
  expect(page).toContain('<p>1 pair of masks not measured yet; `sa-orch report` does so.</p>');
  expect(cellsAfter(page, 'snip 40 %, bottleneck 64, 3 masks')).toEqual([
    ['layer', 'ffn.down', 'ffn.up', 'density', 'units alive, passing of ffn'],
    ['layers.0', '30.0 %', '50.0 %', '40.0 %', '7, 6 of 8'],
    ['layers.1', '2.0 %', '0.0 %', '1.0 %', '2, 0 of 8'],
    ['all', '16.0 %', '25.0 %', '20.5 %', ''],
  ]);
  expect(cellsAfter(page, 'Overlap')).toEqual([
    ['masks', 'pairs', 'mean', 'from', 'by chance'],
    ['snip 40 %, bottleneck 64, between seeds', '1', '0.500', '', '0.430'],
  ]);
});

test('curves are drawn for each row and each of its seeds, with the mean of those', async () => {
  const plan = buildPlan();
  const { details } = render(plan, diagnose(plan));
  const [panel] = curvePanels(details);
  expect(panel).toMatchObject({ title: 'mrpc, training loss', axis: 'training loss' });
  expect(new Set(panel!.seeds.map(({ line }) => line)).size).toBe(9);
  expect(
    panel!.means
      .filter(({ series }) => series === 'dense, bottleneck 64')
      .map(({ value }) => value),
  ).toEqual([expect.closeTo(0.7, 9), expect.closeTo(0.7, 9)]);
  expect(await renderCurves(details)).toContain('snip 80 %, bottleneck 64');
  expect(await renderCurves(summarizeDiagnostics({ tasks: [] }, plan, new Map()))).toBeNull();
});

test('a curve of a metric says how many trials have been evaluated on the way', () => {
  const plan = buildPlan();
  const accuracy = { steps: [10, 20], values: [0.5, 0.6] };
  const all: ReturnType<typeof diagnose> = new Map(
    [...diagnose(plan)].map(([id, each]) => [
      id,
      { ...each, curves: { ...each.curves, accuracy } },
    ]),
  );
  const titleOf = (known: typeof all) => curvePanels(render(plan, known).details)[1]!.title;
  expect(titleOf(all)).toBe('mrpc, accuracy');
  expect(titleOf(new Map([...all, ...[...diagnose(plan)].slice(0, 2)]))).toBe(
    'mrpc, accuracy, 7 of 9 trials',
  );
});

test('of many rows the first are drawn, and that is said', () => {
  const rates = Array.from({ length: 7 }, (_, i) => (i + 1) / 1000);
  const plan = buildPlan({ train: { learning_rate: rates } });
  const summary = summarize(plan, [], {});
  const [panel] = curvePanels(summarizeDiagnostics(summary, plan, diagnose(plan)));
  expect(panel!.title).toBe('mrpc, training loss, the first 12 of 21 rows');
  expect(new Set(panel!.means.map(({ series }) => series)).size).toBe(12);
});

test('trials for which there was no time yet are counted', () => {
  const plan = buildPlan();
  const some = new Map([...diagnose(plan)].slice(0, 4));
  expect(render(plan, some).page).toContain(
    '<p>Of 4 of 9 finished trials; `sa-orch report` adds the others.</p>',
  );
  expect(render(plan, diagnose(plan)).page).not.toContain('finished trials;');
});

test('nothing is told of rows of which nothing is known', () => {
  const { page } = render(buildPlan(), new Map());
  expect(page).not.toContain('<details>');
});

test('words break where they must, and all cells wrap in a table with many columns', () => {
  expect(STYLE).toContain('figure svg{max-width:100%;height:auto}');
  expect(STYLE).toContain('.table{overflow-x:auto}');
  expect(STYLE).toMatch(/td:last-child\{text-align:left;white-space:normal;overflow-wrap:anywhere/);
  expect(STYLE).toContain('.wide td{white-space:normal}');
  const header = Array.from({ length: 12 }, (_, i) => `column ${i}`);
  expect(renderHtmlTable(header, [])).toContain('<div class="table wide">');
  expect(renderHtmlTable(header.slice(1), [])).toContain('<div class="table">');
  expect(renderHtmlTable(['true class', 'a'.repeat(111)], [])).toContain(
    '<div class="table wide">',
  );
});
