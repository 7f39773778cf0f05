/** Sweeps whose trials differ in their training settings. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { axisPanels, renderAxes } from '../../../orchestrator/report/axes-plot';
import { renderMarkdown } from '../../../orchestrator/report/markdown';
import { reportResults } from '../../../orchestrator/report/reported-results';
import { summarize } from '../../../orchestrator/report/summary';
import { renderTable } from '../../../orchestrator/report/table';
import { writeReport } from '../../../orchestrator/report/write';
import type { Plan, TrainConfig } from '../../../orchestrator/sweep/types';
import { buildPlan, buildResult } from '../support/results';

const root = mkdtempSync(join(tmpdir(), 'sa-orch-axes-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A plan whose trials are all there once for each of these changes of training. */
function withAxis(plan: Plan, changes: readonly Partial<TrainConfig>[]): Plan {
  const trials = plan.trials.flatMap((trial) =>
    changes.map((change, i) => ({
      ...trial,
      id: `${trial.id}${i}`,
      train: { ...trial.train, ...change },
    })),
  );
  return { ...plan, trials };
}

const RATES = [{ learning_rate: 3e-4 }, { learning_rate: 1e-3 }];
const titles = (plan: Plan) =>
  summarize(plan, [], {}).tasks[0]!.rows.map(
    ({ label, sparsity, reference }) => `${label} ${sparsity} to ${reference}`,
  );

test('rows that differ in training alone say in what, and are compared at equal values', () => {
  expect(titles(withAxis(buildPlan({ seeds: [1] }), RATES))).toEqual([
    'dense (lr 0.0003) 0 to null',
    'dense (lr 0.001) 0 to null',
    'snip (lr 0.0003) 0.4 to dense (lr 0.0003), bottleneck 64',
    'snip (lr 0.001) 0.4 to dense (lr 0.001), bottleneck 64',
    'snip (lr 0.0003) 0.8 to dense (lr 0.0003), bottleneck 64',
    'snip (lr 0.001) 0.8 to dense (lr 0.001), bottleneck 64',
  ]);
});

test('only the rows of a line with an axis of its own have its values in their labels', () => {
  const plan = buildPlan({ seeds: [1] });
  const [dense, ...pruned] = plan.trials;
  const axis = withAxis({ ...plan, trials: pruned }, RATES);
  expect(titles({ ...plan, trials: [dense!, ...axis.trials] })).toEqual([
    'dense 0 to null',
    'snip (lr 0.0003) 0.4 to dense, bottleneck 64',
    'snip (lr 0.001) 0.4 to dense, bottleneck 64',
    'snip (lr 0.0003) 0.8 to dense, bottleneck 64',
    'snip (lr 0.001) 0.8 to dense, bottleneck 64',
  ]);
});

test('every axis is a column of each table, and epochs are told in epochs', () => {
  const plan = withAxis(buildPlan({ seeds: [1] }), [
    { learning_rate: 3e-4, total_steps: 26 },
    { learning_rate: 1e-3, total_steps: 52 },
  ]);
  const results = plan.trials.map((trial) => buildResult(plan, trial, { accuracy: 0.8, f1: 0.9 }));
  const summary = summarize(plan, results, {});
  expect(summary.tasks[0]!.axes).toEqual(['learning_rate', 'epochs']);
  expect(summary.tasks[0]!.rows[1]).toMatchObject({
    label: 'dense (lr 0.001, epochs 4)',
    name: 'dense',
    axes: { learning_rate: 1e-3, epochs: 4 },
  });
  const markdown = renderMarkdown(summary);
  expect(markdown).toContain('| pruner | sparsity | bottleneck | learning rate | epochs | n |');
  expect(markdown).toContain('| snip | 40 % | 64 | 0.001 | 4 | 1 |');
  const table = renderTable(plan, results).split('\n');
  expect(table.find((line) => line.startsWith('mrpc'))).toContain('learning rate  epochs  n  ');
  expect(table.find((line) => line.startsWith('  snip'))).toMatch(/ 64 +0\.0003 +2 +1 /);
});

test('what all rows share is no axis, and steps are told in steps where all have as many', () => {
  const plan = withAxis(buildPlan({ seeds: [1] }), [{ batch_size: 16 }, { batch_size: 32 }]);
  expect(summarize(plan, [], {}).tasks[0]!.axes).toEqual(['batch_size']);
  expect(summarize(buildPlan(), [], {}).tasks[0]).not.toHaveProperty('axes');
});

test('results.csv and results.jsonl have the learning rate always, and every axis', async () => {
  const write = async (plan: Plan) => {
    const results = plan.trials.map((trial) => buildResult(plan, trial, { accuracy: 0.8, f1: 1 }));
    await writeReport(plan, results, root);
    const read = (name: string) => readFileSync(join(root, 'sweeps', plan.sweep_id, name), 'utf8');
    return { head: read('results.csv').split('\r\n')[0], jsonl: read('results.jsonl') };
  };
  const usual = await write(buildPlan({ seeds: [1] }));
  expect(usual.head).toContain(',status,settings.learning_rate,metrics.accuracy');
  expect(usual.jsonl).toContain('"settings":{"learning_rate":0.0005}');
  const axis = await write(withAxis(buildPlan({ seeds: [1] }), [{ batch_size: 16 }, {}]));
  expect(axis.head).toContain(',settings.learning_rate,settings.batch_size,metrics.accuracy');
  expect(axis.jsonl).toContain('"settings":{"learning_rate":0.0005,"batch_size":16}');
});

test('other kinds of adapters are compared with the first line, which is named', () => {
  const compare = [
    { pruner: 'none', adapter: { kind: ['houlsby', 'lora'] } },
    { pruner: 'snip', sparsity: 0.5, adapter: { kind: 'pfeiffer' } },
  ];
  const plan = buildPlan({ compare, seeds: [1, 2] });
  const accuracies = [0.8, 0.82, 0.7, 0.73, 0.75, 0.78];
  const results = plan.trials.map((trial, i) =>
    buildResult(plan, trial, { accuracy: accuracies[i]!, f1: 0.9 }),
  );
  const summary = summarize(plan, results, {});
  const [houlsby, lora, pfeiffer] = summary.tasks[0]!.rows;
  expect(houlsby).toMatchObject({ reference: null, kept_of_dense: 1 });
  expect(lora).toMatchObject({
    reference: 'dense (houlsby), bottleneck 64',
    difference: { accuracy: { mean: expect.closeTo(-0.095, 12) as number } },
    kept_of_dense: lora!.budget.kept / houlsby!.budget.trainable,
  });
  expect(pfeiffer!.reference).toBe('dense (houlsby), bottleneck 64');
  expect(renderMarkdown(summary)).toContain(
    '- differences and weights are relative to dense (houlsby), bottleneck 64\n',
  );
});

test('results tell with which head weights were scored, where that differs', () => {
  const plan = buildPlan({
    seeds: [1],
    compare: [
      {
        ...{ pruner: 'snip', sparsity: 0.8 },
        scoring: { head: ['published', 'prior', { warm_up: 50 }] },
      },
    ],
  });
  const results = plan.trials.map((trial) => buildResult(plan, trial, { accuracy: 1, f1: 1 }));
  const heads = reportResults(plan, results).map(({ settings }) => settings.scoring_head);
  expect(heads.toSorted()).toEqual(['prior', 'published', 'warmed up 50']);
});

test('the metric is drawn against each compared axis, a line for each kind of row', async () => {
  const plan = withAxis(buildPlan(), RATES);
  const results = plan.trials.map((trial) =>
    buildResult(plan, trial, { accuracy: 0.5 + 100 * trial.train.learning_rate, f1: 0.9 }),
  );
  const summary = summarize(plan, results, {});
  const [panel, ...others] = axisPanels(summary.tasks[0]!);
  expect(others).toEqual([]);
  expect(panel).toMatchObject({ title: 'mrpc, accuracy against learning rate', scale: 'log' });
  expect(
    panel!.points
      .filter(({ series }) => series === 'snip 40 %, bottleneck 64')
      .map(({ at, mean }) => [at, mean]),
  ).toEqual([
    [3e-4, expect.closeTo(53, 9)],
    [1e-3, expect.closeTo(60, 9)],
  ]);
  expect(await renderAxes(summary)).toContain('learning rate (logarithmic)');
  expect(await renderAxes(summarize(plan, [], {}))).toBeNull();
});
