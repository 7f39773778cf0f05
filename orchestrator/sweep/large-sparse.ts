/**
 * Large-Sparse (He et al. 2022): a wider adapter, pruned until it keeps as many weights as the
 * dense reference. Pure.
 *
 * What counts is the budget that reports show as kept: prunable weights that are kept, biases and
 * norms. The wider adapter has more biases, so its prunable part gets that much less.
 */
import { adapterLabel } from './adapters';
import { adapterSizes, countKept, sum } from './budget';
import type { AdapterConfig, PlannedBackbone } from './types';

/** Either the sparsity, or why there is none, with the numbers. */
export type LargeSparse = { sparsity: number } | { refusal: string };

/**
 * The sparsity at which `wide`, pruned over one global scope, keeps exactly as many weights as the
 * dense `reference` has.
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
        `what is never pruned of ${adapterLabel(wide)} (biases, norms) is ${fixed} weights, ` +
        `which exceeds or fills ${target}`,
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
