import { renderMarkdown } from '../../../orchestrator/report/markdown';
import { correctByHolm, pairedDifference } from '../../../orchestrator/report/statistics';
import { t975, twoSidedP } from '../../../orchestrator/report/student-t';
import { summarize } from '../../../orchestrator/report/summary';
import { buildPlan, buildResult } from '../support/results';

describe('Student’s t', () => {
  // scipy 1.17.1: 2 * scipy.stats.t.sf(t, degrees)
  test.each([
    [1, 0.1, 0.936548965138893],
    [1, 8, 0.07916684832113109],
    [2, 1, 0.4226497308103742],
    [2, 8, 0.01526807216533814],
    [3, 2.5, 0.08770664700806556],
    [4, 0.1, 0.9251558409394532],
    [4, 8, 0.0013238969092171672],
    [9, 2.5, 0.033861827682985735],
    [29, 8, 8.012575649631688e-9],
    [100, 1, 0.31972415578412333],
    [100, 8, 2.2728648077280694e-12],
    [10_000, 2.5, 0.012435219550583698],
  ])('of %d degrees of freedom is beyond ±%d with SciPy’s probability', (degrees, t, expected) => {
    for (const each of [t, -t])
      expect(Math.abs(twoSidedP(each, degrees) / expected - 1)).toBeLessThan(1e-10);
  });

  test('is beyond 0 for certain', () => {
    expect(twoSidedP(0, 3)).toBe(1);
  });

  // scipy.stats.t.ppf(0.975, degrees)
  test.each([
    [1, 12.706204736174694],
    [2, 4.302652729749462],
    [4, 2.7764451051977934],
    [29, 2.045229642132703],
    [31, 2.039513446396408],
    [120, 1.9799304050824402],
    [5000, 1.9604385517065073],
  ])('has SciPy’s 0.975 quantile for %d degrees of freedom', (degrees, expected) => {
    expect(Math.abs(t975(degrees) - expected)).toBeLessThan(1e-9);
  });
});

test('a paired difference has the p-value of SciPy’s ttest_rel', () => {
  // scipy.stats.ttest_1samp([0.01, 0.02, 0.0, 0.03], 0).pvalue
  expect(pairedDifference([0.01, 0.02, 0, 0.03])!.p).toBeCloseTo(0.10272807885839899, 12);
  expect(pairedDifference([0.01])!.p).toBeNull();
});

test('Holm’s correction is that of R’s p.adjust', () => {
  const close = (values: number[]) => values.map((value) => expect.closeTo(value, 12) as number);
  expect(correctByHolm([0.01, 0.04, 0.03, 0.005])).toEqual(close([0.03, 0.06, 0.06, 0.02]));
  expect(correctByHolm([0.6, 0.9])).toEqual([1, 1]);
  expect(correctByHolm([])).toEqual([]);
});

describe('a table', () => {
  /** Accuracies by row (dense, snip 40 %, snip 80 %) and seed. */
  const render = (accuracies: number[][], margin?: number) => {
    const plan = buildPlan({ seeds: [1, 2, 3, 4] });
    const results = plan.trials.map((trial, i) =>
      buildResult(plan, trial, { accuracy: accuracies[Math.floor(i / 4)]![i % 4]!, f1: 0.9 }),
    );
    return renderMarkdown(summarize({ ...plan, ...(margin ? { margin } : {}) }, results, {}));
  };
  const DENSE = [0.8, 0.8, 0.8, 0.8];

  test('says of which rows more than noise is certain after Holm’s correction', () => {
    const markdown = render([DENSE, [0.81, 0.82, 0.82, 0.84], [0.7, 0.71, 0.7, 0.72]]);
    expect(markdown).toContain(
      '- more than noise explains, by paired t-tests corrected by Holm within mrpc (2 ' +
        'differences in accuracy): snip 40 %, bottleneck 64 (p = 0.037); snip 80 %, bottleneck ' +
        '64 (p < 0.001); the intervals, and so what is within noise, are not corrected\n',
    );
    expect(render([DENSE, [0.79, 0.82, 0.8, 0.8], [0.8, 0.81, 0.79, 0.8]])).toContain(
      'within mrpc (2 differences in accuracy): no difference; the intervals',
    );
  });

  test('an only difference needs no correction, and the note says so', () => {
    const plan = buildPlan({
      seeds: [1, 2, 3],
      compare: [{ pruner: 'none' }, { pruner: 'snip', sparsity: 0.8 }],
    });
    const results = plan.trials.map((trial, i) =>
      buildResult(plan, trial, { accuracy: [0.8, 0.8, 0.8, 0.7, 0.71, 0.7][i]!, f1: 0.9 }),
    );
    expect(renderMarkdown(summarize(plan, results, {}))).toContain(
      'by the paired t-test of the only difference in accuracy within mrpc: snip 80 %, bottleneck',
    );
  });

  test('calls rows equal whose interval lies inside the margin, even if it excludes 0', () => {
    const rows = [DENSE, [0.803, 0.804, 0.803, 0.805], [0.82, 0.78, 0.8, 0.81]];
    const markdown = render(rows, 1);
    expect(markdown).toContain('+0.4 [0.2, 0.5], n = 4, equal within 1 point |');
    expect(markdown).toContain('+0.2 [−2.5, 3.0], n = 4, within noise |');
    expect(markdown).toContain(
      '- equal within 1 point: the 95 % interval lies inside [−1, 1], whether',
    );
    expect(render(rows)).not.toContain('equal');
    expect(render(rows, 0.4)).not.toMatch(/equal within .* \|/);
  });
});
