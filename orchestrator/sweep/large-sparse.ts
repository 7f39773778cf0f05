/**
 * Large-Sparse (He et al. 2022): a wider adapter, pruned until it keeps as many weights as the
 * dense reference. Pure.
 *
 * The budget is what reports show as kept: kept prunable weights, biases and norms. The wider
 * adapter has more biases, so it keeps that many fewer prunable weights.
 */
import { adapterLabel } from './adapters';
import { adapterSizes, countKept, sum } from './budget';
import type { AdapterConfig, PlannedBackbone } from './types';

/** The sparsity, or why there is none, with the numbers. */
export type LargeSparse = { sparsity: number } | { refusal: string };

/**
 * Finds the sparsity at which `wide`, pruned over one global scope, keeps exactly as many weights
 * as the dense `reference` has.
 */
export function solveLargeSparse(
  wide: AdapterConfig,
  reference: AdapterConfig,
  backbone: PlannedBackbone,
): LargeSparse {
  const dense = adapterSizes(reference, backbone);
  const budget = sum(dense.matrices) + dense.fixed;
  const { matrices, fixed } = adapterSizes(wide, backbone);
  const prunable = sum(matrices);
  const keep = budget - fixed;
  const target = `the budget of the dense reference ${adapterLabel(reference)}, ${budget}`;
  if (keep < 1) {
    return {
      refusal:
        `${adapterLabel(wide)} has ${fixed} weights that are never pruned (biases, norms), ` +
        `no fewer than ${target}`,
    };
  }
  if (keep >= prunable) {
    return {
      refusal:
        `${adapterLabel(wide)} has ${prunable + fixed} weights in all, ` +
        `no more than ${target}; must be wider`,
    };
  }
  return { sparsity: sparsityKeeping(keep, prunable) };
}

/**
 * The shortest decimal that keeps exactly `kept` of `n` weights, 0 < kept < n, by floor((1 −
 * sparsity) · n + 0.5).
 */
export function sparsityKeeping(kept: number, n: number): number {
  const exact = 1 - kept / n;
  for (let digits = 1; digits <= 17; digits++) {
    const sparsity = Number(exact.toFixed(digits));
    if (sparsity < 1 && countKept(n, sparsity) === kept) return sparsity;
  }
  throw new RangeError(
    `no sparsity keeps exactly ${kept} of ${n} weights: it needs 0 < kept < n < 2^52`,
  );
}
