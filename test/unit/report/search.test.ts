/** What the report says of a sweep that chooses values by a search before it compares. */
import { renderMarkdown } from '../../../orchestrator/report/markdown';
import { renderPlot } from '../../../orchestrator/report/plot';
import { renderHtml } from '../../../orchestrator/report/html';
import { renderSearchPlot, searchPanels } from '../../../orchestrator/report/search-plot';
import { reportResults } from '../../../orchestrator/report/reported-results';
import { summarize } from '../../../orchestrator/report/summary';
import { renderTable } from '../../../orchestrator/report/table';
import { decideSearch } from '../../../orchestrator/sweep/search';
import type { Plan, Trial, TrialResult } from '../../../orchestrator/sweep/types';
import { buildResult } from '../support/results';
import { searchPlan } from '../support/search-plan';

/** Accuracies on held-out rows by row (dense, snip 40 %, snip 80 %), rate and seed. */
const HELD_OUT = [
  [
    [0.7, 0.72],
    [0.8, 0.83],
    [0.79, 0.8],
  ], // the middle one
  [
    [0.7, 0.72],
    [0.71, 0.73],
    [0.8, 0.81],
  ], // the last, at the edge
  [[0.6, 0.62], [0.61, 0.64], []], // the last one fails
];

/** Results of the search's trials; those of the last rate of snip 80 % fail with seed 102. */
function searched(plan: Plan): TrialResult[] {
  const trials = new Map(plan.trials.map((trial) => [trial.id, trial]));
  return plan.search!.choices.flatMap(({ candidates }, row) =>
    candidates.flatMap(({ trials: ids }, rate) =>
      ids.map((id, seed) => {
        const value = HELD_OUT[row]![rate]![seed];
        const trial = trials.get(id)!;
        return value === undefined
          ? buildResult(plan, trial, {}, { status: 'failed', error: 'non_finite: loss is NaN' })
          : buildResult(plan, trial, { accuracy: value, f1: 0.5 });
      }),
    ),
  );
}

const compared = (plan: Plan, accuracy: (trial: Trial) => number): TrialResult[] =>
  plan.trials
    .filter(({ seed }) => seed < 100)
    .map((trial) => buildResult(plan, trial, { accuracy: accuracy(trial), f1: 0.9 }));

function decided(): { plan: Plan; results: TrialResult[] } {
  const before = searchPlan();
  const found = searched(before);
  const plan = decideSearch(before, found)!;
  return {
    plan,
    results: [
      ...found,
      ...compared(plan, ({ prune, seed }) => 0.8 + prune.sparsity / 10 + seed / 100),
    ],
  };
}

describe('a search that is decided', () => {
  const { plan, results } = decided();
  const summary = summarize(plan, results, {});
  const markdown = renderMarkdown(summary);

  test('leaves the comparison alone: its rows, seeds, failures and data set', () => {
    expect(summary.tasks).toHaveLength(1);
    expect(summary.datasets.map(({ digest }) => digest)).toEqual(['mrpc-digest']);
    expect(summary.tasks[0]!.rows.map(({ label, seeds, done }) => [label, seeds, done])).toEqual([
      ['dense', 3, 3],
      ['snip', 3, 3],
      ['snip', 3, 3],
    ]);
    expect(summary.failures).toEqual([]);
    expect(markdown).toMatch(/^All rows of the available data sets/);
    expect(markdown).not.toContain('## Failed trials');
  });

  test('shows each row with its chosen value, beside the dense row whatever its value', () => {
    expect(markdown).toContain('| pruner | sparsity | bottleneck | learning rate | n |');
    expect(markdown).toContain('| dense |  | 64 | 0.001 | 3 |');
    expect(markdown).toContain('| snip | 40 % | 64 | 0.003 | 3 |');
    expect(markdown).toContain('| snip | 80 % | 64 | 0.001 | 3 |');
    expect(summary.tasks[0]!.rows.map(({ reference }) => reference)).toEqual([
      null,
      'dense, bottleneck 64',
      'dense, bottleneck 64',
    ]);
  });

  test('says all candidates, which was chosen, how clearly, and at which edge', () => {
    const section = markdown.slice(markdown.indexOf('## mrpc: how learning rate was chosen'));
    for (const line of [
      '| row | learning rate | n | accuracy, held out | choice |',
      '| dense, bottleneck 64 | 0.0003 | 2 | 71.0 ± 1.4 |  |',
      '|  | 0.001 | 2 | 81.5 ± 2.1 | chosen; +2.0 [−10.7, 14.7], n = 2, within noise to lr 0.003 |',
      '| snip 40 %, bottleneck 64 | 0.0003 | 2 | 71.0 ± 1.4 |  |',
      'n = 2 to lr 0.001; learning rate at the edge: try beyond |',
      '|  | 0.003 | 0 | – | failed in 2 of 2 trials: non_finite: loss is NaN |',
    ])
      expect(section).toContain(line);
    expect(section).toContain(
      '- validation rows played no part: 300 of 3,300 rows of train were held out; seeds of the ' +
        'search 101, 102\n',
    );
  });

  test('says so in a terminal, a line for each row', () => {
    const table = renderTable(plan, results);
    expect(table).toContain('25 of 27 trials done, 2 failed');
    expect(table).toContain('search 16 of 18 trials, comparison 9 of 9');
    expect(table).toMatch(/^mrpc: how learning rate was chosen$/m);
    expect(table).toMatch(
      /^ {2}dense, bottleneck 64 +lr 0\.001 of 0\.0003, 0\.001, 0\.003; \+2\.0/m,
    );
    expect(table).toMatch(/^ {2}snip 80 %.* lr 0\.003 failed in 2 of 2 trials: non_finite/m);
  });

  test('is drawn: a line for each row against the rate, what was chosen circled', async () => {
    const [panel, ...others] = searchPanels(summary);
    expect(others).toEqual([]);
    expect(panel).toMatchObject({ title: 'mrpc, accuracy against learning rate', scale: 'log' });
    expect(
      panel!.points.filter(({ chosen }) => chosen).map(({ series, at }) => [series, at]),
    ).toEqual([
      ['dense, bottleneck 64', 0.001],
      ['snip 40 %, bottleneck 64', 0.003],
      ['snip 80 %, bottleneck 64', 0.001],
    ]);
    // The failed candidate has no point.
    expect(panel!.points).toHaveLength(8);
    const svg = await renderSearchPlot(summary);
    expect(svg).toContain('learning rate (logarithmic)');
    expect(svg).toContain('snip 40 %, bottleneck 64, learning rate 0.003: 80.5 ± 0.7');
    expect(renderHtml(summary, '<svg></svg>', svg)).toContain(svg!.trimEnd());
    expect(markdown).toMatch(/^!\[.*searched\]\(search\.svg\)$/m);
  });

  test('tells the phases apart in the results', () => {
    const phases = reportResults(plan, results).map(({ phase, seed }) => [phase, seed > 100]);
    expect(new Set(phases.map((each) => each.join(' ')))).toEqual(
      new Set(['search true', 'comparison false']),
    );
  });
});

test('while it is undecided, the report says so, and has no row of the comparison', async () => {
  const plan = searchPlan();
  const results = searched(plan).slice(0, 5);
  const markdown = renderMarkdown(summarize(plan, results, {}));
  expect(markdown).toContain('- 5 of 27 trials done\n- search 5 of 18 trials, comparison 0 of 9');
  expect(markdown).toContain('## mrpc: how learning rate is chosen');
  expect(markdown).toContain(
    '- undecided: 5 of 18 trials of the search are done; the rows of the comparison follow\n',
  );
  expect(markdown).not.toContain('## mrpc\n');
  expect(await renderPlot(summarize(plan, results, {}))).toContain('<svg');
  expect(renderTable(plan, results)).toMatch(
    / dense, bottleneck 64 +undecided, from 0\.0003, 0\.001, 0\.003/,
  );
});

test('a row of which every candidate failed is in no table, and that is said', () => {
  const plan = searchPlan();
  const results = searched(plan).map((result) =>
    result.sparsity === 0.8 ? { ...result, status: 'failed' as const, metrics: {} } : result,
  );
  const after = decideSearch(plan, results)!;
  const summary = summarize(after, results, {});
  expect(summary.tasks[0]!.rows).toHaveLength(2);
  expect(renderTable(after, results)).toMatch(
    /snip 80 %.* none: every candidate failed; lr 0\.0003/,
  );
});

test('says who was stopped where, and how much training that took', () => {
  const before = searchPlan([1, 2, 3], { rungs: [0.25, 0.5], keep: 0.5 });
  const stop = (trial: Trial, step: number, accuracy: number) =>
    buildResult(
      before,
      trial,
      { accuracy, f1: 0.5 },
      {
        ...{ status: 'stopped', stopped_at: { step, total_steps: 20 } },
        train: { steps: step, rows_per_s: 60, wall_s: 20, cohort: 1 },
      },
    );
  // The first rate is behind after a quarter; the third wins at half.
  const measure = (step: number): Map<string, TrialResult> =>
    new Map(
      before.trials.map((trial) => {
        const rate = trial.train.learning_rate;
        return [trial.id, stop(trial, step, 0.6 + 30 * rate + trial.seed / 10_000)];
      }),
    );
  const once = decideSearch(before, [], measure(5))!;
  const plan = decideSearch(once, [], measure(10))!;
  const results = before.trials.map(({ id, train }) =>
    measure(train.learning_rate < 0.001 ? 5 : 10).get(id)!,
  );
  const table = renderTable(plan, results);
  expect(table).toContain(
    'lr 0.003 of 0.0003, 0.001, 0.003; +6.0, n = 2: equal in every pair, no interval to lr 0.001 ' +
      'after 50 % of training; learning rate at the edge: try beyond',
  );
  expect(table).toContain(
    'stopped early: after 25 % and 50 % of their training, 50 % of the candidates go on, rounded ' +
      'up; trained on 4,800 rows (42 % of what all would take to their end)',
  );
  expect(table).toContain('search 0 of 18 trials and 18 stopped early, comparison 0 of 9');
  const markdown = renderMarkdown(summarize(plan, results, {}));
  expect(markdown).toContain(
    '| dense, bottleneck 64 | 0.0003 | 2 | 61.9 ± 0.0 | stopped at 25 % |',
  );
});
