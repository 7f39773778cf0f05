/** The dense row with as many weights as a pruned one keeps. */
import { summarize } from '../../../orchestrator/report/summary';
import { renderMarkdown } from '../../../orchestrator/report/markdown';
import { buildPlan, buildResult } from '../support/results';

const plan = buildPlan({
  seeds: [1, 2],
  compare: [
    { pruner: 'none' },
    { pruner: 'snip', sparsity: [0.4, 0.8] },
    { pruner: 'none', same_budget_as: ['snip 0.4', 'snip 0.8'] },
    { pruner: 'rand', sparsity: 0.6 },
  ],
});

test('a pruned row is compared with the dense row that is nearest to what it keeps', () => {
  const [{ at_dense_budget: found }] = summarize(plan, [], {}).tasks as [
    ReturnType<typeof summarize>['tasks'][number],
  ];
  expect(
    found.map(({ reference, kept, rows }) => [
      reference,
      kept,
      rows.map((row) => [row.label, row.sparsity, row.kept]),
    ]),
  ).toEqual([
    ['dense, bottleneck 38', 364_488, [['snip', 0.4, 368_486]]],
    ['dense, bottleneck 13', 133_788, [['snip', 0.8, 132_557]]],
  ]);
});

test('both numbers of weights stand in the note, with the difference paired by seed', () => {
  const results = plan.trials.map((trial) =>
    buildResult(plan, trial, {
      accuracy: trial.prune.sparsity === 0.8 ? 0.8 + trial.seed / 100 : 0.7 + trial.seed / 50,
      f1: 0.5,
    }),
  );
  const notes = renderMarkdown(summarize(plan, results, {}));
  expect(notes).toContain('133,788 weights (dense, bottleneck 13)');
  expect(notes).toContain('snip 80 %, bottleneck 64 (132,557 weights): +8.5');
});

test.each([
  // Its MLP is not pruned: 95 % fewer matrices are 18,000 of 4 million weights, but three widths.
  ['mam', { kind: 'mam', bottleneck: 4 }, { pruner: 'snip', sparsity: [0.5, 0.95] }],
  // Narrower than any dense adapter.
  ['houlsby', { bottleneck: 1 }, { pruner: 'rand', sparsity: 0.999, bottleneck: 64 }],
])('rows more than half a width from a dense %s are not at its budget', (_, adapter, pruned) => {
  const few = buildPlan({ seeds: [1], adapter, compare: [{ pruner: 'none' }, pruned] });
  expect(summarize(few, [], {}).tasks[0]!.at_dense_budget).toEqual([]);
});
