import { renderMarkdown } from '../../../orchestrator/report/markdown';
import { summarize } from '../../../orchestrator/report/summary';
import { buildPlan, buildResults } from '../support/results';

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
    '- seeds 1, 2, 3\n',
    `SHA-256 ${plan.backbone.digest}\n`,
    '- data mrpc, digest mrpc-digest: train 400 rows (not_equivalent 133, equivalent 267), SHA-256',
    '- made with torch 2.15.0 on cpu (Some CPU), float32\n- evaluated by sa-orch 0.1.0\n',
  ])
    expect(markdown).toContain(text);
});
