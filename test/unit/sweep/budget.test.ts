import { completeAdapter } from '../../../orchestrator/config/adapter';
import { adapterSizes, budgetOf, sum } from '../../../orchestrator/sweep/budget';
import { backbone, prune } from '../support/plans';

const dense = prune();
const houlsby = completeAdapter({});
const MODULES = 12;
/** Small sizes that no two of are equal, so that none stands for another unseen. */
const tiny = { ...backbone(), hidden_size: 5, intermediate_size: 7, num_layers: 2 };

describe('budgetOf', () => {
  test('counts a Houlsby-64 adapter on MiniLM by hand: two matrices, two biases and a norm a module', () => {
    const budget = budgetOf(houlsby, dense, backbone(), 2);
    const trainable = MODULES * (2 * 384 * 64 + 64 + 384 + 2 * 384);
    const head = 384 * 384 + 384 + 2 * 384 + 2;
    expect(budget).toEqual({ trainable, kept: trainable, head, stored_bytes: 4 * (trainable + head) });
  });

  test('sparsity takes prunable weights only: biases and norms stay', () => {
    const budget = budgetOf(houlsby, { ...dense, pruner: 'snip', sparsity: 0.4 }, backbone(), 2);
    const prunable = MODULES * 2 * 384 * 64;
    expect(budget.kept).toBe(Math.round(0.6 * prunable) + MODULES * (64 + 384 + 768));
    expect(budget.trainable).toBe(prunable + MODULES * (64 + 384 + 768));
  });

  test('a local scope rounds in each matrix, a global one once; er keeps as many as global', () => {
    const narrow = completeAdapter({ bottleneck: 1, norm: 'none' });
    const one = { ...tiny, num_layers: 1 };
    const fixed = 2 * (1 + 5);
    // Four matrices of 5 weights at density 0.3: 1.5 each rounds to 2, 6 in all stays 6.
    expect(budgetOf(narrow, { ...dense, pruner: 'mag', sparsity: 0.7, scope: 'local' }, one, 2).kept - fixed).toBe(8);
    expect(budgetOf(narrow, { ...dense, pruner: 'mag', sparsity: 0.7 }, one, 2).kept - fixed).toBe(6);
    expect(budgetOf(narrow, { ...dense, pruner: 'er', sparsity: 0.7 }, one, 2).kept - fixed).toBe(6);
  });

  test('a regression head has one output', () => {
    expect(budgetOf(houlsby, dense, backbone(), 1).head).toBe(384 * 384 + 384 + 384 + 1);
  });
});

describe('adapterSizes', () => {
  // With d = 5, f = 7 and two layers, from the list of tensors in job.proto.
  test.each([
    ['houlsby: a module at each site', { bottleneck: 3 }, 2 * 4 * 15, 2 * 2 * (3 + 5 + 10)],
    ['no norm: no norm weights', { bottleneck: 3, norm: 'none' as const }, 2 * 4 * 15, 2 * 2 * (3 + 5)],
    ['pfeiffer: one module a layer', { kind: 'pfeiffer' as const, bottleneck: 3 }, 2 * 2 * 15, 2 * (3 + 5 + 10)],
    ['parallel, without a norm', { kind: 'parallel' as const, bottleneck: 3 }, 2 * 4 * 15, 2 * 2 * (3 + 5)],
    ['two widths', { attention_bottleneck: 1, ffn_bottleneck: 4 }, 2 * (2 * 5 + 2 * 20), 2 * (1 + 5 + 10 + 4 + 5 + 10)],
    ['lora: query and value', { kind: 'lora' as const, bottleneck: 2 }, 2 * 4 * 10, 0],
    ['lora in the feed-forward block', { attention: 'none' as const, ffn: 'lora' as const, bottleneck: 2 }, 2 * (2 * 10 + 2 * 14), 0],
    ['a prefix without MLP', { kind: 'prefix' as const, bottleneck: 3, prefix_hidden: 0 }, 0, 2 * 2 * 15],
    ['a prefix with MLP', { kind: 'prefix' as const, bottleneck: 3, prefix_hidden: 4 }, 0, 15 + (20 + 4) + (20 * 4 + 20)],
    ['mam', { kind: 'mam' as const, bottleneck: 3, prefix_hidden: 0 }, 2 * 2 * 15, 2 * 2 * 15 + 2 * (3 + 5)],
    ['bitfit: six biases of d, one of f', { kind: 'bitfit' as const }, 0, 2 * (6 * 5 + 7)],
    ['the head alone', { kind: 'head_only' as const }, 0, 0],
  ])('%s', (_what, keys, prunable, fixed) => {
    const sizes = adapterSizes(completeAdapter(keys), tiny);
    expect({ prunable: sum(sizes.matrices), fixed: sizes.fixed }).toEqual({ prunable, fixed });
  });
});
