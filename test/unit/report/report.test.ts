import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors } from '../../../orchestrator/datasets/safetensors';
import { computeMean, pairedDifference } from '../../../orchestrator/report/statistics';
import { summarize } from '../../../orchestrator/report/summary';
import type { SweepSummary } from '../../../orchestrator/report/summary-types';
import { renderTable } from '../../../orchestrator/report/table';
import { writeReport } from '../../../orchestrator/report/write';
import type { Plan, TrialResult } from '../../../orchestrator/sweep/types';
import { dataset } from '../support/plans';
import { COMPARE, LARGE_SPARSE, buildPlan, buildResult, buildResults } from '../support/results';

const root = mkdtempSync(join(tmpdir(), 'sa-orch-report-'));
afterAll(() => rmSync(root, { recursive: true }));

const closeTo = (value: number) => expect.closeTo(value, 12) as number;

async function report(plan: Plan, results: TrialResult[]) {
  await writeReport(plan, results, root);
  const read = (name: string) => readFileSync(join(root, 'sweeps', plan.sweep_id, name), 'utf8');
  return {
    markdown: read('report.md'),
    summary: JSON.parse(read('report.json')) as SweepSummary,
    html: read('report.html'),
    plot: read('plot.svg'),
    csv: read('results.csv'),
    jsonl: read('results.jsonl'),
  };
}

describe('statistics', () => {
  test('std is that of a sample, divided by n − 1', () => {
    expect(computeMean([1, 2, 4])).toEqual({
      mean: 7 / 3,
      std: expect.closeTo(Math.sqrt(7 / 3), 12) as number,
      n: 3,
    });
  });

  test('one value has no std and no interval', () => {
    expect(pairedDifference([0.5])).toEqual({
      mean: 0.5,
      std: null,
      n: 1,
      interval: null,
      told_from_noise: null,
      p: null,
    });
  });

  test('equal differences have no interval: they are no proof', () => {
    expect(pairedDifference([0.82 - 0.8, 0.72 - 0.7])).toMatchObject({
      n: 2,
      interval: null,
      told_from_noise: null,
    });
  });

  test('the interval is SciPy’s t interval', () => {
    const { interval, told_from_noise } = pairedDifference([0.01, 0.02, 0])!;
    expect(interval![0]).toBeCloseTo(0.01 - (4.302652729749462 * 0.01) / Math.sqrt(3), 6);
    expect(interval![1]).toBeCloseTo(0.01 + (4.302652729749462 * 0.01) / Math.sqrt(3), 6);
    expect(told_from_noise).toBe(false);
    expect(pairedDifference([0.01, 0.011, 0.012])!.told_from_noise).toBe(true);
  });
});

describe('a report', () => {
  test('has a row per pruner and sparsity: mean ± std, n, kept, paired difference', async () => {
    const plan = buildPlan();
    const { markdown } = await report(plan, buildResults(plan));
    expect(markdown).toContain(
      '| dense |  | 64 | 3 | 82.0 ± 2.0 | 90.0 ± 0.0 | 604,416 | 100 % |  |',
    );
    expect(markdown).toContain(
      '| snip | 40 % | 64 | 3 | 83.0 ± 1.7 | 90.0 ± 0.0 | 368,486 | 61 % | +1.0 [−1.5, 3.5], ' +
        'n = 3, within noise |',
    );
    expect(markdown).toContain(
      '| snip | 80 % | 64 | 3 | 72.3 ± 2.5 | 90.0 ± 0.0 | 132,557 | 22 % | −9.7 [−11.1, ' +
        '−8.2], n = 3 |',
    );
  });

  test('and the terminal table say the same numbers', () => {
    const plan = buildPlan();
    const table = renderTable(plan, buildResults(plan));
    const snip = table.split('\n').find((line) => line.startsWith('  snip   40 %'))!;
    expect(snip).toMatch(/ 64 +3 +83\.0 ± 1\.7 \/ 90\.0 ± 0\.0 +368,486 /);
    expect(snip).toMatch(/368,486 +\+1\.0 \[−1\.5, 3\.5\], n = 3, within noise/);
    expect(table).toContain('9 of 9 trials done');
  });

  test.each([
    ['demo rows', { source: 'demo' as const }, /^Demo rows, not GLUE \(mrpc\)/],
    [
      'a subset',
      { splits: dataset('mrpc', { train: 400, of: 3668 }).splits },
      /^A subset of the rows, from the user's files; not comparable .* mrpc train 400 of 3,668/,
    ],
    ['all rows', {}, /^All rows of the available data sets, from the user's files\.\n/],
    [
      'published rows that are not used',
      {
        splits: dataset('mrpc').splits.map((split) => ({
          ...split,
          left_out: split.name === 'train' ? 2 : 0,
        })),
      },
      new RegExp(
        "^All rows of the available data sets, from the user's files; " +
          'skipped 2 of mrpc train with an empty text\\.\\n',
      ),
    ],
    [
      'the hub',
      { source: 'hub' as const },
      /^All rows of the available data sets, from the hub \(nyu-mll\/glue\)\.\n/,
    ],
  ])('says on its first line that it was made on %s', async (_what, change, first) => {
    const plan = buildPlan({}, change);
    expect((await report(plan, buildResults(plan))).markdown).toMatch(first);
    expect(renderTable(plan, buildResults(plan))).toMatch(first);
  });

  test.each([
    ['demo', /^Demo rows, not SQuAD \(squad_v2\): .* these numbers say nothing about SQuAD\.\n/],
    ['hub', /^All rows of the available data sets, from the hub \(rajpurkar\/squad_v2\)\.\n/],
  ] as const)('of SQuAD says so on its first line: %s', (source, first) => {
    const plan = buildPlan({}, { source });
    plan.datasets[0]!.task = 'squad_v2';
    expect(renderTable(plan, buildResults(plan))).toMatch(first);
  });

  test('says at which threshold the best F1 of questions is: one of these very rows', async () => {
    const plan = buildPlan(
      { seeds: [1, 2] },
      { kind: 'question_answering', metrics: ['f1', 'best_f1'] },
    );
    const results = plan.trials.map((trial, i) =>
      buildResult(
        plan,
        trial,
        { f1: 0.5, best_f1: 0.6 },
        { thresholds: { best_f1: i - 1.25 }, warnings: i === 3 ? ['empty_answers: all'] : [] },
      ),
    );
    const { markdown, summary, csv } = await report(plan, results);
    expect(markdown).toContain(
      '- best F1 uses the no-answer threshold best on the same rows; by seed:\n',
    );
    expect(markdown).toContain(
      '  - dense, bottleneck 64: −1.25, −0.25\n  - snip 40 %, bottleneck 64: 0.75, 1.75\n',
    );
    expect(markdown).toContain(
      'snip 40 %, bottleneck 64: all answers are empty in 1 of 2 trials (empty_answers)',
    );
    expect(summary.tasks[0]!.rows[0]).toMatchObject({
      thresholds: { best_f1: [-1.25, -0.25] },
      budget: { head: 2 * 384 + 2 },
    });
    expect(csv.split('\r\n')[0]).toContain('metrics.best_f1,metrics.f1,thresholds.best_f1,');
  });

  test('pairs by seed: a seed that the dense adapter lacks is in no difference', async () => {
    const plan = buildPlan();
    const results = buildResults(plan).filter(
      ({ pruner, seed }) => pruner !== 'none' || seed !== 3,
    );
    const { summary, markdown } = await report(plan, results);
    expect(summary.tasks[0]!.rows[1]).toMatchObject({
      done: 3,
      difference: { accuracy: { n: 2, mean: expect.closeTo(0.015, 12) as number } },
    });
    expect(markdown).toContain('seeds are missing from the means: dense, bottleneck 64: 2 of 3');
  });

  test('one seed has no ± and no interval, and that is said', async () => {
    const plan = buildPlan({ seeds: 1 });
    const results = plan.trials.map((trial, i) =>
      buildResult(plan, trial, { accuracy: 0.8 - i / 100, f1: 0.9 }),
    );
    const { markdown } = await report(plan, results);
    expect(markdown).toContain('| 1 | 80.0 | 90.0 |');
    expect(markdown).toContain('−1.0, n = 1: no interval');
    expect(markdown).toContain('one seed (n = 1) has no standard deviation');
  });

  test('lists failed trials with their reason, and leaves them out of the means', async () => {
    const plan = buildPlan();
    const results = buildResults(plan);
    results[8] = {
      ...results[8]!,
      status: 'failed',
      metrics: {},
      error: 'non_finite: loss is NaN\nat step 7',
    };
    const { markdown, summary } = await report(plan, results);
    expect(markdown).toContain('- 8 of 9 trials done, 1 failed');
    expect(markdown).toContain(
      `- ${plan.trials[8]!.id} (mrpc, snip 0.8, seed 3): non_finite: loss is NaN at step 7`,
    );
    expect(summary.tasks[0]!.rows[2]!.metrics.accuracy).toMatchObject({
      n: 2,
      mean: expect.closeTo(0.71, 12) as number,
    });
  });

  test('lists each warning once, with the trials that have it', async () => {
    const plan = buildPlan();
    const results = buildResults(plan).map((result, i) => ({
      ...result,
      warnings: i < 2 ? ['layers_emptied: layers.0.ffn.up'] : [],
    }));
    expect((await report(plan, results)).markdown).toContain(
      '- layers_emptied: layers.0.ffn.up (2 trials)',
    );
  });

  test('has the majority class of the validation rows beside the table', async () => {
    const plan = buildPlan();
    const folder = join(root, 'datasets', plan.datasets[0]!.digest);
    mkdirSync(folder, { recursive: true });
    const labels = { shape: [4], data: Int32Array.from([1, 1, 0, 1]) };
    writeFileSync(join(folder, 'validation.safetensors'), encodeSafetensors({ labels }));
    writeFileSync(join(folder, 'dataset.json'), '{}');
    expect((await report(plan, buildResults(plan))).markdown).toContain(
      'always the most frequent class: accuracy 75.0, F1 85.7',
    );
    rmSync(folder, { recursive: true });
  });

  test('compares each adapter with its own dense one, and dense ones with the first', async () => {
    const compare = [
      { pruner: 'none', bottleneck: [16, 32] },
      { pruner: 'rand', sparsity: 0.5, bottleneck: [16, 32] },
    ];
    const plan = buildPlan({ compare, seeds: [1] });
    const results = plan.trials.map((trial, i) =>
      buildResult(plan, trial, { accuracy: [0.7, 0.8, 0.71, 0.82][i]!, f1: 0.9 }),
    );
    const { summary, markdown } = await report(plan, results);
    expect(summary.tasks[0]!.rows.map(({ difference }) => difference.accuracy?.mean)).toEqual([
      undefined,
      expect.closeTo(0.1) as number,
      expect.closeTo(0.01) as number,
      expect.closeTo(0.02) as number,
    ]);
    expect(markdown).toContain(
      '- differences and weights are relative to several dense adapters:\n' +
        '  - to dense, bottleneck 16: dense, bottleneck 32; rand 50 %, bottleneck 16\n',
    );
  });

  test('says that a Large-Sparse row keeps as many weights as the dense adapter', async () => {
    const { summary, markdown } = await report(
      buildPlan({ compare: LARGE_SPARSE, seeds: [1] }),
      [],
    );
    expect(summary.tasks[0]!.rows.map(({ kept_of_dense }) => kept_of_dense)).toEqual([
      1,
      expect.closeTo(0.54, 1),
      1,
    ]);
    expect(markdown.match(/\| 100 % \|/g)).toHaveLength(2);
  });

  test('compares dense, sparse and Large-Sparse at the dense budget in its own note', async () => {
    const plan = buildPlan({ compare: LARGE_SPARSE });
    const { summary, markdown, html } = await report(plan, buildResults(plan));
    const budget =
      "at the dense adapter's budget of 161,472 weights (dense, bottleneck 16), Δ accuracy:";
    const row = 'snip 75.0977 %, bottleneck 64: −9.7 [−11.1, −8.2], n = 3';
    expect(markdown).toContain(`- ${budget}\n  - ${row}\n`);
    expect(renderTable(plan, buildResults(plan))).toContain(`  · ${budget}\n      ${row}\n`);
    expect(html).toContain(
      `<li>${budget.replace("'", '&#39;')}\n<ul>\n<li>${row}</li>\n</ul></li>`,
    );
    expect(summary.tasks[0]!.at_dense_budget).toEqual([
      {
        reference: 'dense, bottleneck 16',
        kept: 161_472,
        rows: [
          expect.objectContaining({
            label: 'snip',
            bottleneck: '64',
            difference: expect.objectContaining({
              accuracy: expect.objectContaining({ mean: closeTo(-0.29 / 3), n: 3 }) as object,
            }) as object,
          }),
        ],
      },
    ]);
  });

  test('at the dense budget takes differences from that budget’s dense adapter', async () => {
    const compare = [
      { pruner: 'none', bottleneck: [16, 64] },
      { pruner: 'snip', large_sparse: { bottleneck: 64 } },
    ];
    const plan = buildPlan({ compare, seeds: [1] });
    const results = plan.trials.map((trial, i) =>
      buildResult(plan, trial, { accuracy: [0.7, 0.8, 0.73][i]!, f1: 0.9 }),
    );
    const [task] = (await report(plan, results)).summary.tasks;
    expect(task!.rows[2]).toMatchObject({
      reference: 'dense, bottleneck 64',
      difference: { accuracy: { mean: closeTo(-0.07) } },
    });
    expect(task!.at_dense_budget).toMatchObject([
      {
        reference: 'dense, bottleneck 16',
        rows: [{ difference: { accuracy: { mean: closeTo(0.03) } } }],
      },
    ]);
  });

  test('has no such note where no row keeps as many weights as the dense adapter', async () => {
    const plan = buildPlan();
    const { summary, markdown } = await report(plan, buildResults(plan));
    expect(summary.tasks[0]!.at_dense_budget).toEqual([]);
    expect(markdown).not.toContain('budget of');
  });

  test('marks rows with degenerate trials, and says why and in how many of them', async () => {
    const plan = buildPlan();
    const emptied = ['layers_emptied: no weight was kept in layers.0.ffn.up'];
    const oneClass = [
      'one_class_predictions: every row of validation is predicted as 1',
      'environment_changed: torch 2.14',
    ];
    const results = buildResults(plan).map((result, i) => ({
      ...result,
      warnings: [...(i === 6 || i === 8 ? emptied : []), ...(i === 8 ? oneClass : [])],
    }));
    const { summary, markdown, html } = await report(plan, results);
    const note = [
      'snip 80 %, bottleneck 64: a matrix lost all its weights in 2 of 3 trials (layers_emptied)',
      'all rows are predicted as one class in 1 of 3 trials (one_class_predictions)',
    ].join('; ');
    expect(markdown).toContain('| snip † | 80 % |');
    expect(markdown).toContain('| snip | 40 % |');
    expect(markdown).toContain(`- † degenerate, so these numbers mean little:\n  - ${note}\n`);
    expect(html).toContain('<tr><td>snip †</td><td>80 %</td>');
    expect(html).toContain(
      `<li>† degenerate, so these numbers mean little:\n<ul>\n<li>${note}</li>`,
    );
    const table = renderTable(plan, results);
    expect(table).toMatch(/^ {2}snip † {2}80 % /m);
    expect(table).toContain(`  · † degenerate, so these numbers mean little:\n      ${note}\n`);
    expect(summary.tasks[0]!.rows.map(({ degenerate }) => degenerate)).toEqual([
      {},
      {},
      { layers_emptied: 2, one_class_predictions: 1 },
    ]);
  });

  test.each(['one trial that another warning names', 'none'])('marks no row for %s', (which) => {
    const plan = buildPlan();
    const warnings = which === 'none' ? [] : ['environment_changed: layers_emptied'];
    const results = buildResults(plan).map((result) => ({ ...result, warnings }));
    expect(renderTable(plan, results)).not.toContain('†');
  });

  test('names what tells rows apart besides pruner, sparsity and bottleneck', () => {
    const compare = [
      { pruner: 'none', adapter: { norm: ['none', 'before'] } },
      { pruner: 'mag', sparsity: 0.5, scope: ['global', 'local'] },
    ];
    const table = renderTable(buildPlan({ compare }), []);
    for (const label of [
      'dense (norm none)',
      'dense (norm before)',
      'mag (norm before)',
      'mag (norm before, local)',
    ]) {
      expect(table).toContain(`  ${label} `);
    }
  });

  test('names the adapter where a task has several, and what differs under one name', () => {
    const compare = [
      { pruner: 'none', adapter: { kind: ['houlsby', 'head_only'] } },
      {
        pruner: 'snip',
        sparsity: 0.5,
        adapter: { attention: 'lora', ffn: 'parallel', ffn_bottleneck: 16, lora_alpha: [16, 32] },
      },
      {
        pruner: 'synflow',
        sparsity: 0.5,
        rounds: [1, 100],
        control: ['none', 'shuffled'],
        reinitialize: true,
      },
    ];
    const rows = summarize(buildPlan({ compare }), [], {}).tasks[0]!.rows.map(
      ({ label, bottleneck }) => `${label} | ${bottleneck}`,
    );
    expect(rows).toEqual([
      'dense (houlsby) | 64',
      'dense (head_only) | –',
      'snip (lora+parallel, lora alpha 16) | 8/16',
      'snip (lora+parallel, lora alpha 32) | 8/16',
      'synflow (houlsby, rounds 1, reinitialized) | 64',
      'synflow (houlsby, rounds 1, shuffled, reinitialized) | 64',
      'synflow (houlsby, rounds 100, reinitialized) | 64',
      'synflow (houlsby, rounds 100, shuffled, reinitialized) | 64',
    ]);
  });

  test('tells rows apart by the head that their weights were scored with', () => {
    const compare = [
      { pruner: 'snip', sparsity: 0.5, scoring: { head: ['published', 'prior'] } },
      { pruner: 'fisher', sparsity: 0.5, scoring: { head: ['prior', { warm_up: 50 }] } },
    ];
    const rows = summarize(buildPlan({ compare }), [], {}).tasks[0]!.rows.map(({ label }) => label);
    expect(rows).toEqual([
      'snip',
      'snip (scoring head prior)',
      'fisher (scoring head prior)',
      'fisher (scoring head warmed up 50)',
    ]);
  });

  test('names how a mask is made if unusual, and compares rounds of masks made alike', () => {
    const compare = [
      { pruner: 'none' },
      { pruner: 'mag', sparsity: 0.5, structure: ['weights', 'units'], scope: ['global', 'local'] },
      { pruner: 'mag', n_m: ['2:4', '1:2'] },
      { pruner: 'mag', sparsity: 0.5, rounds: [2, 3], progressive: {} },
      { pruner: 'mag', sparsity: 0.5, rounds: 3, progressive: { begin_epoch: 0 } },
    ];
    const rows = summarize(buildPlan({ compare }), [], {}).tasks[0]!.rows.map(({ label }) => label);
    expect(rows).toEqual([
      ...[
        'dense',
        'mag',
        'mag (local)',
        'mag (units)',
        'mag (units, local)',
        'mag (n_m 2:4)',
        'mag (n_m 1:2)',
      ],
      ...[
        'mag (progressive, rounds 2, begin step 13)',
        'mag (progressive, rounds 3, begin step 13)',
      ],
      'mag (progressive, rounds 3, begin step 0)',
    ]);
  });

  test('says that it ran by the published rules, with the fractions removed and kept', async () => {
    const plan = buildPlan({
      compare: [{ pruner: 'none' }, { pruner: 'snip', sparsity: 0.3 }],
      compat: 'official',
    });
    const results = plan.trials.map((trial) =>
      buildResult(plan, trial, { accuracy: 0.8, f1: 0.9 }),
    );
    for (const result of results.slice(3))
      result.budget = { ...result.budget, kept: 600_000 + result.seed };
    const { markdown } = await report(plan, results);
    expect(markdown).toContain(
      "- masks by the published code's rules (compat: official): equal scores are cut together",
    );
    expect(markdown).toMatch(/\| snip \| 70 % \| 64 \| 3 \|.*\| 600,002 \|/);
    expect((await report(buildPlan(), [])).markdown).not.toContain('compat');
  });

  test('names the rules of a row where a task mixes them', () => {
    const plan = buildPlan({ compare: [{ pruner: 'snip', sparsity: [0.4, 0.8] }], seeds: [1] });
    const trials = plan.trials.map((trial, i) =>
      i === 0 ? trial : { ...trial, prune: { ...trial.prune, rules: 'official' as const } },
    );
    expect(summarize({ ...plan, trials }, [], {}).tasks[0]!.rows.map(({ label }) => label)).toEqual(
      ['snip', 'snip (official)'],
    );
  });

  test('says how the backbone was computed where that was not in float32', async () => {
    const plan = buildPlan({ precision: 'bf16' });
    const { markdown, summary, csv } = await report(plan, buildResults(plan));
    expect(markdown).toContain('weights\n- precision bf16\n');
    expect(renderTable(plan, buildResults(plan))).toContain('9 of 9 trials done, precision bf16');
    expect(summary.precisions).toEqual(['bf16']);
    expect(csv).toContain('seed,status,precision,settings.learning_rate,metrics.accuracy');
    expect(csv.match(/,done,bf16,0\.0005,/g)).toHaveLength(9);
    const usual = await report(buildPlan(), buildResults(buildPlan()));
    expect(usual.markdown).not.toContain('\n- precision');
    expect(usual.csv).not.toContain('precision');
    expect(usual.summary).not.toHaveProperty('precisions');
  });

  test('takes no difference between precisions, and makes no row of two', () => {
    const plan = buildPlan({ seeds: [1] });
    const faster = plan.trials.map((trial) => ({
      ...trial,
      id: `${trial.id}b`,
      precision: 'bf16' as const,
    }));
    const sparse = { ...plan, trials: [...plan.trials, ...faster.slice(1)] };
    const { rows } = summarize(sparse, buildResults(sparse), {}).tasks[0]!;
    expect(
      rows.map(({ label, sparsity, reference }) => `${label} ${sparsity} to ${reference}`),
    ).toEqual([
      'dense (float32) 0 to null',
      'snip (float32) 0.4 to dense (float32), bottleneck 64',
      'snip (float32) 0.8 to dense (float32), bottleneck 64',
      'snip (bf16) 0.4 to null',
      'snip (bf16) 0.8 to null',
    ]);
    const both = { ...plan, trials: [...plan.trials, ...faster] };
    expect(summarize(both, [], {}).tasks[0]!.rows.map(({ reference }) => reference)[4]).toBe(
      'dense (bf16), bottleneck 64',
    );
  });

  test('names full fine-tuning and prompts, which have a width or none', () => {
    const plan = buildPlan({
      compare: [{ pruner: 'none', adapter: { kind: ['houlsby', 'prompt', 'full'] } }],
    });
    expect(
      summarize(plan, [], {}).tasks[0]!.rows.map(
        ({ label, bottleneck }) => `${label} | ${bottleneck}`,
      ),
    ).toEqual(['dense (houlsby) | 64', 'dense (prompt) | 20', 'dense (full) | –']);
  });

  test('of nothing yet is a table of dashes', () => {
    expect(renderTable(buildPlan(), [])).toMatch(/dense +64 +0 +– \/ – +604,416 +t\w{7} /);
  });

  test('says where a sweep has no dense adapter', () => {
    expect(renderTable(buildPlan({ compare: COMPARE.slice(1) }), [])).toContain(
      'the sweep has no dense adapter',
    );
  });
});

describe('report files', () => {
  test('show plot.svg: linked in report.md, inside report.html', async () => {
    const plan = buildPlan();
    const { markdown, html, plot } = await report(plan, buildResults(plan));
    expect(markdown).toMatch(/^!\[.+\]\(plot\.svg\)$/m);
    expect(html).toContain(plot.trimEnd());
  });

  test('results.jsonl has one line per trial, by trial id, however they came', async () => {
    const plan = buildPlan();
    const first = await report(plan, buildResults(plan));
    const again = await report(plan, buildResults(plan).reverse());
    expect(again).toEqual(first);
    const ids = first.jsonl
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as TrialResult).trial_id);
    expect(ids).toEqual(plan.trials.map(({ id }) => id).sort());
  });

  test('hold no result of a trial that is not in the plan', async () => {
    const plan = buildPlan();
    const foreign = { ...buildResults(plan)[0]!, trial_id: 'tffff' };
    expect((await report(plan, [foreign])).jsonl).toBe('');
  });

  test('results.csv quotes what needs it', async () => {
    const plan = buildPlan({ seeds: 1 });
    const result = buildResult(
      plan,
      plan.trials[0]!,
      {},
      { status: 'failed', error: 'a "bad", mask', bottleneck: [8, 16] },
    );
    const { csv } = await report(plan, [result]);
    expect(csv).toContain(',8/16,none,0,0,1,failed,');
    expect(csv).toContain(',"a ""bad"", mask"\r\n');
  });

  test('leave no temporary file', async () => {
    const plan = buildPlan();
    await report(plan, buildResults(plan));
    const files = [
      'diagnostics.jsonl',
      'plot.svg',
      'report.html',
      'report.json',
      'report.md',
      'results.csv',
      'results.jsonl',
    ];
    expect(readdirSync(join(root, 'sweeps', plan.sweep_id)).sort()).toEqual(files);
  });
});
