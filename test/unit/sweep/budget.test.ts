import { DEFAULT_ADAPTER } from '../../../orchestrator/config/defaults';
import { budgetOf } from '../../../orchestrator/sweep/budget';
import type { PruneConfig } from '../../../orchestrator/sweep/types';
import { backbone } from '../support/plans';

const dense: PruneConfig = { pruner: 'none', sparsity: 0, scope: 'global', scoring_rows: 0 };
const MODULES = 12;

describe('budgetOf', () => {
  test('counts a Houlsby-64 adapter on MiniLM by hand: two matrices, two biases and a norm a module', () => {
    const budget = budgetOf(DEFAULT_ADAPTER, dense, backbone(), 2);
    const trainable = MODULES * (2 * 384 * 64 + 64 + 384 + 2 * 384);
    const head = 384 * 384 + 384 + 2 * 384 + 2;
    expect(budget).toEqual({ trainable, kept: trainable, head, stored_bytes: 4 * (trainable + head) });
  });

  test('has no norm weights where the adapter does not normalize', () => {
    const without = budgetOf({ ...DEFAULT_ADAPTER, norm: 'none' }, dense, backbone(), 2);
    expect(budgetOf(DEFAULT_ADAPTER, dense, backbone(), 2).trainable - without.trainable).toBe(MODULES * 2 * 384);
  });

  test('has half the modules where there is none beside attention', () => {
    const pfeiffer = budgetOf({ ...DEFAULT_ADAPTER, kind: 'pfeiffer', attention_bottleneck: 0 }, dense, backbone(), 2);
    expect(pfeiffer.trainable * 2).toBe(budgetOf(DEFAULT_ADAPTER, dense, backbone(), 2).trainable);
  });

  test('sparsity takes prunable weights only: biases and norms stay', () => {
    const budget = budgetOf(DEFAULT_ADAPTER, { ...dense, pruner: 'snip', sparsity: 0.4 }, backbone(), 2);
    const prunable = MODULES * 2 * 384 * 64;
    expect(budget.kept).toBe(Math.round(0.6 * prunable) + MODULES * (64 + 384 + 768));
    expect(budget.trainable).toBe(prunable + MODULES * (64 + 384 + 768));
  });

  test('a local scope rounds in each matrix, a global one once', () => {
    const narrow = { ...DEFAULT_ADAPTER, attention_bottleneck: 1, ffn_bottleneck: 1, norm: 'none' as const };
    const tiny = { ...backbone(), hidden_size: 5, num_layers: 1 };
    const fixed = 2 * (1 + 5);
    // Four matrices of 5 weights at density 0.3: 1.5 each rounds to 2, 6 in all stays 6.
    expect(budgetOf(narrow, { ...dense, pruner: 'mag', sparsity: 0.7, scope: 'local' }, tiny, 2).kept - fixed).toBe(8);
    expect(budgetOf(narrow, { ...dense, pruner: 'mag', sparsity: 0.7, scope: 'global' }, tiny, 2).kept - fixed).toBe(6);
  });

  test('a regression head has one output', () => {
    expect(budgetOf(DEFAULT_ADAPTER, dense, backbone(), 1).head).toBe(384 * 384 + 384 + 384 + 1);
  });
});
