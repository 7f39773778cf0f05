import { plotPanels, type PlotPanel } from '../../../orchestrator/report/plot-data';
import { renderPlot } from '../../../orchestrator/report/plot';
import { summarize } from '../../../orchestrator/report/summary';
import type { Plan, TrialResult } from '../../../orchestrator/sweep/types';
import { LARGE_SPARSE, buildPlan, buildResult, buildResults } from '../support/results';

const closeTo = (value: number) => expect.closeTo(value, 9) as number;

function buildPanel(plan: Plan, results: readonly TrialResult[]): PlotPanel {
  return plotPanels(summarize(plan, results, {}))[0]!;
}

const drawSvg = (plan: Plan, results: readonly TrialResult[]) =>
  renderPlot(summarize(plan, results, {}));

describe('the data of a plot', () => {
  test('has a point per row: mean ± std of the deciding metric × 100 by weights kept', () => {
    const plan = buildPlan();
    expect(buildPanel(plan, buildResults(plan)).points).toMatchObject([
      {
        kind: 'dense',
        series: 'dense',
        kept: 604_416,
        mean: closeTo(82),
        bar: [closeTo(80), closeTo(84)],
      },
      {
        kind: 'sparse',
        series: 'snip',
        kept: 368_486,
        mean: closeTo(83),
        bar: [closeTo(83 - Math.sqrt(3)), closeTo(83 + Math.sqrt(3))],
      },
      {
        kind: 'sparse',
        series: 'snip',
        kept: 132_557,
        description: 'snip 80 %, bottleneck 64: 72.3 ± 2.5, n = 3',
      },
    ]);
  });

  test('tells Large-Sparse from sparse adapters, and has it at the budget of the dense one', () => {
    const plan = buildPlan({ compare: LARGE_SPARSE });
    const { points, references } = buildPanel(plan, buildResults(plan));
    expect(points.map(({ kind, series }) => [kind, series])).toEqual([
      ['dense', 'dense'],
      ['sparse', 'snip'],
      ['large_sparse', 'snip Large-Sparse'],
    ]);
    expect(points[2]!.kept).toBe(points[0]!.kept);
    expect(references).toEqual([{ mean: closeTo(82), kept: 161_472 }]);
  });

  test('names the bottlenecks of a pruner that has several', () => {
    const compare = [
      { pruner: 'none' },
      { pruner: 'snip', large_sparse: { bottleneck: [128, 256] } },
    ];
    const plan = buildPlan({ compare });
    expect(buildPanel(plan, buildResults(plan)).points.map(({ series }) => series)).toEqual([
      'dense',
      'snip Large-Sparse, bottleneck 128',
      'snip Large-Sparse, bottleneck 256',
    ]);
  });

  test('has the dense rows that others are compared with as reference lines, each once', () => {
    const compare = [
      { pruner: 'none', bottleneck: [16, 32, 48] },
      { pruner: 'rand', sparsity: [0.5, 0.8], bottleneck: [16, 32] },
    ];
    const plan = buildPlan({ compare, seeds: 1 });
    const results = plan.trials.map((trial, i) =>
      buildResult(plan, trial, { accuracy: 0.7 + i / 100, f1: 0.9 }),
    );
    expect(buildPanel(plan, results).references.map(({ mean }) => mean)).toEqual([
      closeTo(70),
      closeTo(71),
    ]);
  });

  test('leaves out a row without a result, and keeps a failed dense adapter’s budget line', () => {
    const plan = buildPlan();
    const results = buildResults(plan).map((result, i) =>
      i < 3 ? { ...result, status: 'failed' as const, metrics: {}, error: 'x' } : result,
    );
    const { points, references } = buildPanel(plan, results.slice(0, 6));
    expect(points.map(({ kind, kept }) => [kind, kept])).toEqual([['sparse', 368_486]]);
    expect(references).toEqual([{ mean: null, kept: 604_416 }]);
  });

  test('one seed has no bar', () => {
    const plan = buildPlan({ seeds: 1 });
    const results = plan.trials.map((trial) =>
      buildResult(plan, trial, { accuracy: 0.8, f1: 0.9 }),
    );
    expect(buildPanel(plan, results).points.map(({ bar }) => bar)).toEqual([null, null, null]);
  });

  test('says task, metric, n and demo rows in the title', () => {
    const title = (plan: Plan, results: TrialResult[]) => buildPanel(plan, results).title;
    const [plan, demo] = [buildPlan(), buildPlan({}, { source: 'demo' })];
    expect(title(plan, buildResults(plan))).toBe('mrpc, accuracy, n = 3');
    expect(title(plan, buildResults(plan).slice(0, 4))).toBe('mrpc, accuracy, n = 1 to 3');
    expect(title(plan, [])).toBe('mrpc, accuracy, no result yet');
    expect(title(demo, buildResults(demo))).toBe('mrpc, accuracy, n = 3, demo rows');
  });

  test.each([
    ['linear', [0.4, 0.8]],
    ['log', [0.4, 0.99]],
  ])('has a %s axis for the sparsities 0 and %j', (scale, sparsity) => {
    const plan = buildPlan({ compare: [{ pruner: 'none' }, { pruner: 'snip', sparsity }] });
    const { points, x, y } = buildPanel(plan, buildResults(plan));
    expect(x.scale).toBe(scale);
    for (const { kept, bar } of points) {
      expect(kept > x.domain[0] && kept < x.domain[1]).toBe(true);
      expect(bar![0] > y[0] && bar![1] < y[1]).toBe(true);
    }
  });

  test('has a linear axis where a row keeps no weight at all', () => {
    const plan = buildPlan({
      compare: [{ pruner: 'none', adapter: { kind: ['houlsby', 'head_only'] } }],
    });
    expect(buildPanel(plan, []).x).toEqual({
      scale: 'linear',
      domain: [0, closeTo(1.08 * 604_416)],
    });
  });

  test.each([[0.8], [0.99]])(
    'stands rows of equally many weights side by side, the first where all belong (sparsity %d)',
    (sparsity) => {
      const plan = buildPlan({
        compare: [{ pruner: 'none' }, { pruner: ['rand', 'mag', 'snip'], sparsity }],
      });
      const results = plan.trials.map((trial) =>
        buildResult(plan, trial, { accuracy: 0.8, f1: 0.9 }),
      );
      const { points, x } = buildPanel(plan, results);
      const place = (value: number) => (x.scale === 'log' ? Math.log(value) : value);
      const pixels = points.map(
        ({ at, kept }) =>
          (400 * (place(at) - place(kept))) / (place(x.domain[1]) - place(x.domain[0])),
      );
      expect(pixels).toEqual([0, 0, 5, -5].map(closeTo));
    },
  );

  test('marks the points of degenerate rows', () => {
    const plan = buildPlan();
    const results = buildResults(plan).map((result, i) => ({
      ...result,
      warnings: i === 8 ? ['layers_emptied: layers.0.ffn.up'] : [],
    }));
    expect(buildPanel(plan, results).points.map(({ degenerate }) => degenerate)).toEqual([
      false,
      false,
      true,
    ]);
  });
});

describe('plot.svg', () => {
  test('is the same for the same results, and needs nothing from elsewhere', async () => {
    const plan = buildPlan({ compare: LARGE_SPARSE });
    const svg = await drawSvg(plan, buildResults(plan));
    expect(await drawSvg(plan, buildResults(plan).reverse())).toBe(svg);
    expect(svg).not.toMatch(/<script|<image|<use|<foreignObject|href=|url\(|@import|\bid=/i);
  });

  test('draws each point with description and bars, and lines for the dense adapter', async () => {
    const plan = buildPlan({ compare: LARGE_SPARSE });
    const svg = await drawSvg(plan, buildResults(plan));
    for (const label of [
      'dense, bottleneck 16: 82.0 ± 2.0',
      'snip 50 %, bottleneck 16: 83.0 ± 1.7',
      'snip 75.0977 %, bottleneck 64: 72.3 ± 2.5',
    ]) {
      expect(svg.split(`aria-label="${label}, n = 3"`)).toHaveLength(2);
    }
    expect(svg.match(/stroke-dasharray="5,4"/g)).toHaveLength(2);
    expect(svg).toContain('>mrpc, accuracy, n = 3</text>');
    expect(svg).toContain('>snip Large-Sparse</text>');
  });

  test('has a panel for each task, also where it has no result yet', async () => {
    const plan = buildPlan({ tasks: ['mrpc', 'rte', 'stsb'] });
    const svg = await drawSvg(plan, []);
    expect(svg.match(/>\w+, \w+, no result yet<\/text>/g)).toHaveLength(3);
  });

  test('escapes names', async () => {
    const plan = buildPlan({ seeds: 1 });
    const task = '<script>&"mrpc"';
    const renamed = {
      ...plan,
      datasets: plan.datasets.map((dataset) => ({ ...dataset, task })),
      trials: plan.trials.map((trial) => ({ ...trial, task })),
    };
    const svg = await drawSvg(
      renamed,
      renamed.trials.map((trial) => buildResult(renamed, trial, { accuracy: 0.8, f1: 0.9 })),
    );
    expect(svg).toContain('&lt;script&gt;&amp;"mrpc", accuracy');
    expect(svg).not.toContain('<script');
  });

  test('replaces every colour where the reader’s are dark', async () => {
    const plan = buildPlan({
      compare: [...LARGE_SPARSE, { pruner: ['rand', 'mag', 'er'], sparsity: 0.5, bottleneck: 16 }],
    });
    const results = plan.trials.map((trial) =>
      buildResult(plan, trial, { accuracy: 0.8, f1: 0.9 }),
    );
    const [, style, drawing] = /<style>(.*)<\/style>(.*)/s.exec(await drawSvg(plan, results))!;
    const colors = new Set(
      Array.from(drawing!.matchAll(/(?:fill|stroke)="(#[^"]*)"/g), ([, color]) => color!),
    );
    expect(colors.size).toBeGreaterThan(8);
    for (const color of colors) expect(style).toContain(`[fill="${color}"]`);
  });

  test('does not warn', async () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
    await drawSvg(
      buildPlan({ compare: [{ pruner: 'none' }, { pruner: 'snip', sparsity: 0.99 }] }),
      [],
    );
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });
});
