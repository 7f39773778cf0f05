import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { planSweep } from '../../../orchestrator/sweep/plan';
import type { PlannedDataset } from '../../../orchestrator/sweep/types';
import { dataset } from '../support/plans';
import { bart } from '../tasks/summaries/support/summaries';

const xsum: PlannedDataset = {
  ...dataset('mrpc'),
  task: 'xsum',
  kind: 'summarization',
  num_labels: 0,
  label_names: [],
};
const T5 = { ...bart(), name: 'tiny-t5', model_type: 't5' };

function planWith(line: Record<string, unknown>, backbone = bart()) {
  const config = sweepConfigFrom('t', { tasks: 'xsum', seeds: 1, compare: [line] });
  return planSweep(config, {
    backbone,
    datasets: [xsum],
    maxCohort: 8,
    defaultPrecision: 'float32',
    profileReason: null,
  });
}
const kind = (name: string) => ({ pruner: 'none', adapter: { kind: name } });

describe('an adapter on an encoder–decoder', () => {
  test.each(['houlsby', 'pfeiffer', 'parallel', 'lora', 'prefix', 'mam', 'prompt', 'bitfit'])(
    'may be %s on BART',
    (name) => {
      expect(planWith(kind(name)).trials).toHaveLength(1);
    },
  );

  test.each([
    ['full', bart(), 'an encoder–decoder, which is not fine-tuned as a whole'],
    [
      'head_only',
      bart(),
      'an encoder–decoder, which has no head, so that nothing would be trained',
    ],
    ['bitfit', T5, 'of type t5, which has no biases'],
    ['pfeiffer', T5, 'of type t5: after_norm is for blocks that normalize their sum'],
  ])('may not be %s where the contract has none', (name, backbone, reason) => {
    expect(() => planWith(kind(name), backbone)).toThrow(
      new RegExp(
        `compare\\[0\\].adapter: ${name}\\S* is not allowed with ${backbone.name}, ${reason}`,
      ),
    );
  });

  test('has groups of neighbours in the decoder too', () => {
    const lora = { attention: 'none', ffn: 'lora', bottleneck: 7 };
    // Down of ffn_in has 5 columns.
    expect(() => planWith({ pruner: 'mag', n_m: '1:7', adapter: lora })).toThrow(
      'encoder.layers.<i>.ffn_in.down.weight [7, 5] has 5 columns',
    );
  });
});

test('under compat official summarization scores on as many rows as any task', () => {
  const config = sweepConfigFrom('t', {
    tasks: 'xsum',
    seeds: 1,
    compat: 'official',
    adapter: { attention: 'none' },
    compare: [{ pruner: 'snip', sparsity: 0.4 }],
  });
  const plan = planSweep(config, {
    backbone: bart(),
    datasets: [xsum],
    maxCohort: 8,
    defaultPrecision: 'float32',
    profileReason: null,
  });
  expect(plan.trials[0]!.prune.scoring_rows).toBe(320);
});
