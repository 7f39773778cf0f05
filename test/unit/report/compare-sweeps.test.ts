import { compareSweeps } from '../../../orchestrator/report/compare-sweeps';
import type { Plan, TrialResult } from '../../../orchestrator/sweep/types';
import { buildPlan, buildResult } from '../support/results';

const resultsOf = (plan: Plan, more: number): TrialResult[] =>
  plan.trials.map((trial) =>
    buildResult(plan, trial, { accuracy: 0.7 + trial.seed / 100 + more * trial.seed, f1: 0.9 }),
  );

const compare = (first: Plan, second: Plan) =>
  compareSweeps(
    { plan: first, results: resultsOf(first, 0) },
    { plan: second, results: resultsOf(second, 0) },
  );

test('two sweeps are compared row by row over the seeds of both, and say what differs', () => {
  const first = buildPlan({ seeds: [1, 2, 3] });
  const second = buildPlan({ seeds: [2, 3, 4], train: { learning_rate: 1e-3 } });
  const { rows } = compareSweeps(
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
  for (const plan of [second, other]) expect(compare(first, plan).rows).toEqual([]);
  expect(compare(first, other)).toMatchObject({
    only_first: [
      'mrpc, dense, bottleneck 64',
      'mrpc, snip 40 %, bottleneck 64',
      'mrpc, snip 80 %, bottleneck 64',
    ],
    only_second: ['mrpc, mag 40 %, bottleneck 64'],
  });
});

test('rows that were trained for longer say so, in steps and epochs, whoever wrote which', () => {
  const first = buildPlan({ train: { epochs: 4 } });
  const second = buildPlan({ train: { steps: 104 } });
  const several = buildPlan({ train: { epochs: [4, 8] } });
  expect(compare(first, second).rows[0]!.changed).toEqual(['steps 52 → 104', 'epochs 4 → 8']);
  expect(compare(several, second).rows.map(({ row, changed }) => [row, changed])).toEqual([
    ['dense (epochs 8), bottleneck 64', []],
    ['snip (epochs 8) 40 %, bottleneck 64', []],
    ['snip (epochs 8) 80 %, bottleneck 64', []],
  ]);
  expect(compare(several, second).only_first).toContain('mrpc, dense (epochs 4), bottleneck 64');
});

test('rows on other data, and in another precision, say so', () => {
  const first = buildPlan();
  expect(compare(first, buildPlan({}, { digest: 'more-rows' })).rows[0]!.changed).toEqual([
    'other data',
  ]);
  expect(compare(first, buildPlan({ precision: 'bf16' })).rows[0]!.changed).toEqual([
    'precision float32 → bf16',
  ]);
});
