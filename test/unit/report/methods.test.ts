import { describeSize } from '../../../orchestrator/cli/request';
import { renderMarkdown } from '../../../orchestrator/report/markdown';
import { summarize } from '../../../orchestrator/report/summary';
import { dataset } from '../support/plans';
import { buildPlan, buildResults, CPU, madeBy } from '../support/results';
import { searchPlan } from '../support/search-plan';

test('says what a paper needs: settings once, or by row, data, seeds, versions', () => {
  const plan = buildPlan();
  plan.datasets[0]!.splits[0]!.class_rows = [133, 267];
  const summary = summarize(plan, buildResults(plan), {});
  expect(summary.methods).toMatchObject({
    seeds: [1, 2, 3],
    by_row: { 'prune.sparsity': { '0.4': ['snip 40 %, bottleneck 64'] } },
    made_on: ['torch 2.15.0 on cpu (Some CPU), float32'],
    sa_orch: ['0.1.0'],
  });
  expect(summary.methods.shared).toMatchObject({
    'train.learning_rate': '0.0005',
    'adapter.attention_bottleneck': '64',
    precision: 'float32',
  });
  const markdown = renderMarkdown(summary);
  for (const text of [
    '\n## Methods\n\n- settings of all rows: ',
    'train.learning_rate 0.0005',
    '- prune.sparsity by row: 0 (dense, bottleneck 64), 0.4 (snip 40 %, bottleneck 64), 0.8 (',
    'adapter.attention_bottleneck 64',
    'train.optimizer adamw',
    'train.total_steps 52',
    'train.epochs 4',
    '- seeds of the comparison 1, 2, 3\n',
    `SHA-256 ${plan.backbone.digest}\n`,
    '- data mrpc (classification, from files), digest mrpc-digest; train 400 rows ' +
      '(not_equivalent 133, equivalent 267), SHA-256',
    '; best by accuracy, beside f1; at most 128 tokens a row, tokenizer SHA-256 ccc',
    '- made with torch 2.15.0 on cpu (Some CPU), float32\n- evaluated by sa-orch 0.1.0\n',
  ])
    expect(markdown).toContain(text);
});

test('says versions and threads, as far as the trainer names them', () => {
  const plan = buildPlan();
  const made = madeBy({ ...CPU, details: { torch: '2.15.0', transformers: '5.23.0' } });
  const results = buildResults(plan).map((result) => ({ ...result, provenance: made }));
  expect(summarize(plan, results, {}).methods.made_on).toEqual([
    'torch 2.15.0 on cpu (Some CPU), float32, transformers 5.23.0',
  ]);
});

test('says what was searched: values, rows held out, seeds, and how it is decided', () => {
  const plan = searchPlan();
  const held = plan.datasets.find((dataset) => dataset.held_out)!;
  held.splits[1]!.class_rows = [100, 200];
  const markdown = renderMarkdown(summarize(plan, [], {}));
  for (const text of [
    '- search on mrpc, before the comparison and without its validation rows: 300 of 3300 train ' +
      'rows held out (10 %, drawn once for all its trials, digest mrpc-held-out), the others ' +
      'trained on for 20 steps; seeds 101, 102; held out by class: not_equivalent 100, ' +
      'equivalent 200\n',
    '- search on mrpc, tried for dense, bottleneck 64; snip 40 %, bottleneck 64; snip 80 %, ' +
      'bottleneck 64: learning_rate 0.0003, learning_rate 0.001, learning_rate 0.003\n',
    '- search on mrpc decides by the highest mean accuracy on the held-out rows over its seeds, ',
  ])
    expect(markdown).toContain(text);
});

test('says at which rungs a search stops candidates, and how many go on', () => {
  const plan = searchPlan([1, 2, 3], { rungs: [0.25, 0.5], keep: 0.34 });
  expect(renderMarkdown(summarize(plan, [], {}))).toContain(
    '- search on mrpc stops early: after 25 % and 50 % of their training, 34 % of the values ' +
      'that are left (rounded up, and all that equal the last of them) go on, those with the ' +
      'highest mean there; the values that are left then are trained to their end, but a single ' +
      'one is chosen at once ',
  );
});

test('says the steps of rungs that are at another part of the training', () => {
  const plan = searchPlan([1, 2, 3], { rungs: [0.0001, 0.125, 0.5], keep: 0.335 });
  const markdown = renderMarkdown(summarize(plan, [], {}));
  const rungs = '0.01 % (step 1 of 20), 12.5 % (step 3 of 20)';
  expect(markdown).toContain(
    `stops early: after ${rungs.replace(', ', ' and ')} and 50 % of their training, 33.5 % of`,
  );
  expect(markdown).toContain(
    `stopped early: after ${rungs.replace(', ', ' and ')} and 50 % of their training, 33.5 % of`,
  );
  expect(describeSize(plan)).toContain(`(some are stopped at ${rungs}, 50 %)`);
});

test('says what else decides a data set: the windows of questions', () => {
  const squad = {
    ...dataset('mrpc'),
    kind: 'question_answering',
    questions: { doc_stride: 64, no_answer: true },
  };
  const plan = buildPlan({}, squad);
  expect(summarize(plan, [], {}).methods.data[0]!.settings).toEqual({
    'questions.doc_stride': '64',
    'questions.no_answer': 'true',
  });
});

test('says the rows that were used where more were asked for than there are', () => {
  const compare = [{ pruner: 'none' }, { pruner: 'snip', sparsity: 0.8, scoring_rows: 100_000 }];
  const splits = dataset('mrpc', { train: 90 }).splits;
  const plan = buildPlan({ compare, train: { batch_size: 256 } }, { splits });
  const { methods } = summarize(plan, [], {});
  expect(methods.by_row['prune.scoring_rows']).toEqual({
    0: ['dense, bottleneck 64'],
    90: ['snip 80 %, bottleneck 64'],
  });
  expect(methods.shared['train.batch_size']).toBe('90');
  expect(plan.trials.at(-1)).toMatchObject({
    prune: { scoring_rows: 100_000 },
    train: { batch_size: 256 },
  });
});

test('scores questions on their features, of which there are more than rows', () => {
  const [train, ...others] = dataset('mrpc', { train: 90 }).splits;
  const splits = [{ ...train!, features: 120 }, ...others];
  const plan = buildPlan({ compare: { pruner: 'snip', sparsity: 0.8 } }, { splits });
  expect(summarize(plan, [], {}).methods.shared['prune.scoring_rows']).toBe('120');
});

test('names a row by what was asked for and what was used, where that tells rows apart', () => {
  const compare = [{ pruner: 'snip', sparsity: 0.8, scoring_rows: [64, 128] }];
  const splits = dataset('mrpc', { train: 90 }).splits;
  const { tasks } = summarize(buildPlan({ compare }, { splits }), [], {});
  expect(tasks[0]!.rows.map(({ label }) => label)).toEqual([
    'snip (scoring rows 64)',
    'snip (scoring rows 128: all 90)',
  ]);
});
