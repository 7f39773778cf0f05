import { compareSweeps } from '../../../orchestrator/report/compare-sweeps';
import type { Plan, TrialResult } from '../../../orchestrator/sweep/types';
import { buildPlan, buildResult } from '../support/results';

const resultsOf = (plan: Plan, more: number): TrialResult[] =>
  plan.trials.map((trial) =>
    buildResult(plan, trial, { accuracy: 0.7 + trial.seed / 100 + more * trial.seed, f1: 0.9 }),
  );

test('two sweeps are compared row by row over the seeds of both, and say what differs', () => {
  const first = buildPlan({ seeds: [1, 2, 3] });
  const second = buildPlan({ seeds: [2, 3, 4], train: { learning_rate: 1e-3 } });
  const rows = compareSweeps(
    { plan: first, results: resultsOf(first, 0) },
    { plan: second, results: resultsOf(second, 0.01) },
  );
  expect(rows.map(({ row }) => row)).toEqual([
    'dense, bottleneck 64',
    'snip 40 %, bottleneck 64',
    'snip 80 %, bottleneck 64',
  ]);
  expect(rows[1]).toMatchObject({
    task: 'mrpc',
    metric: 'accuracy',
    difference: { n: 2, mean: expect.closeTo(0.025, 12) as number },
    changed: ['learning_rate 0.0005 → 0.001'],
  });
});

test('rows or seeds that only one of them has are in no difference', () => {
  const first = buildPlan({ seeds: [1] });
  const second = buildPlan({ seeds: [2] });
  const other = buildPlan({ seeds: [1], compare: [{ pruner: 'mag', sparsity: 0.4 }] });
  for (const plan of [second, other])
    expect(
      compareSweeps(
        { plan: first, results: resultsOf(first, 0) },
        { plan, results: resultsOf(plan, 0) },
      ),
    ).toEqual([]);
});
