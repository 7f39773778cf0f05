/** What a row is compared with, whatever has come of it. */
import { renderMarkdown } from '../../../orchestrator/report/markdown';
import { summarize } from '../../../orchestrator/report/summary';
import { decideSearch } from '../../../orchestrator/sweep/search';
import type { Plan, Trial, TrialResult } from '../../../orchestrator/sweep/types';
import { buildPlan, buildResult } from '../support/results';
import { searchPlan } from '../support/search-plan';

const COMPARE = [
  { pruner: 'none' },
  { pruner: 'snip', sparsity: 0.8 },
  { pruner: 'none', same_budget_as: 'snip 0.8' },
];

const fail = (plan: Plan, trial: Trial): TrialResult =>
  buildResult(plan, trial, {}, { status: 'failed', error: 'non_finite: the loss is NaN' });
const end = (plan: Plan, trial: Trial): TrialResult =>
  buildResult(plan, trial, { accuracy: 0.8 + trial.seed / 100, f1: 0.9 });
const isWide = ({ prune, adapter }: Trial) =>
  prune.pruner === 'none' && adapter.ffn_bottleneck === 64;

test('a dense row whose every trial failed is replaced by no other one, and that is said', () => {
  const plan = buildPlan({ compare: COMPARE });
  const results = plan.trials.map((trial) => (isWide(trial) ? fail : end)(plan, trial));
  const summary = summarize(plan, results, {});
  const snip = summary.tasks[0]!.rows.find(({ pruner }) => pruner === 'snip')!;
  expect(snip).toMatchObject({ reference: 'dense, bottleneck 64', difference: {} });
  expect(renderMarkdown(summary)).toContain(
    '- no result of dense, bottleneck 64, because every trial of it failed; so these have no ' +
      'difference, rather than one to another dense row: snip 80 %, bottleneck 64; dense, ' +
      'bottleneck 13\n',
  );
});

test('nor is one of which every searched value failed', () => {
  const before = searchPlan();
  const trials = new Map(before.trials.map((trial) => [trial.id, trial]));
  const found = before.trials.map((trial) =>
    (trial.prune.pruner === 'none' ? fail : end)(before, trials.get(trial.id)!),
  );
  const plan = decideSearch(before, found)!;
  const chosen = plan.trials.filter(({ id }) => !trials.has(id));
  const summary = summarize(plan, [...found, ...chosen.map((trial) => end(plan, trial))], {});
  expect(summary.tasks[0]!.rows.map(({ label, reference }) => [label, reference])).toEqual([
    ['snip', 'dense, bottleneck 64'],
    ['snip', 'dense, bottleneck 64'],
  ]);
  const markdown = renderMarkdown(summary);
  expect(markdown).toContain(
    '- no result of dense, bottleneck 64, because every value that was searched for it failed; ',
  );
  expect(markdown).not.toContain('the sweep has no dense adapter');
});

test('LoRA rows of several ranks say that the factor of their updates differs, and why', () => {
  const plan = buildPlan({
    adapter: { kind: 'lora', bottleneck: 8, lora_alpha: 16 },
    compare: COMPARE,
  });
  const markdown = renderMarkdown(summarize(plan, [], {}));
  const narrow = Math.min(...plan.trials.map(({ adapter }) => adapter.attention_bottleneck));
  expect(narrow).toBeLessThan(8);
  for (const text of [
    '- rows differ in LoRA’s factor lora_alpha / rank, which acts like the learning rate; of two ' +
      'ranks with one lora_alpha it differs, too (Hu et al. 2022)',
    '  - dense, bottleneck 8: 2\n',
    `  - dense, bottleneck ${narrow}: ${16 / narrow}\n`,
  ])
    expect(markdown).toContain(text);
  expect(renderMarkdown(summarize(buildPlan(), [], {}))).not.toContain('LoRA');
});
