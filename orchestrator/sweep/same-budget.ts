/**
 * The dense adapter with as many weights as a pruned one keeps: what is gained by pruning a wide
 * adapter, and what by having fewer weights? Pure.
 */
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import { hasMatrices } from './adapters';
import { adapterSizes, sum } from './budget';
import type { AdapterConfig, PlannedBackbone } from './types';

/**
 * Makes the modules that pruning would cut narrower or wider, all by the same factor, until the
 * adapter has as many weights (biases and norms included) as the pruned one keeps, or the nearest
 * number that a width gives; of two as near, the smaller. null if the adapter has no matrix to
 * prune.
 *
 * @param kept weights that the pruned adapter keeps
 */
export function solveSameBudget(
  adapter: AdapterConfig,
  kept: number,
  backbone: PlannedBackbone,
): AdapterConfig | null {
  if (!hasMatrices(adapter)) return null;
  const widest = Math.max(...prunedWidths(adapter));
  const excess = (width: number) => countDense(narrow(adapter, width / widest), backbone) - kept;
  // The number of weights grows with the width: find the first that is not too small.
  let [below, enough] = [0, widest];
  while (excess(enough) < 0) [below, enough] = [enough, 2 * enough];
  while (enough - below > 1) {
    const middle = Math.floor((below + enough) / 2);
    if (excess(middle) < 0) below = middle;
    else enough = middle;
  }
  const nearest = below > 0 && -excess(below) <= excess(enough) ? below : enough;
  return narrow(adapter, nearest / widest);
}

/** By how many weights the next wider adapter differs; 0 if it has no matrix to prune. */
export function widthStep(adapter: AdapterConfig, backbone: PlannedBackbone): number {
  if (!hasMatrices(adapter)) return 0;
  const widest = Math.max(...prunedWidths(adapter));
  const wider = narrow(adapter, (widest + 1) / widest);
  return countDense(wider, backbone) - countDense(adapter, backbone);
}

const isPruned = ({ attention, ffn }: AdapterConfig) => ({
  attention: ATTENTION_MODULES[attention].matrices.length > 0,
  ffn: FFN_MODULES[ffn].matrices.length > 0,
});

function prunedWidths(adapter: AdapterConfig): number[] {
  const pruned = isPruned(adapter);
  return [
    ...(pruned.attention ? [adapter.attention_bottleneck] : []),
    ...(pruned.ffn ? [adapter.ffn_bottleneck] : []),
  ];
}

/** A prefix, which is not pruned, stays as long as it is. */
function narrow(adapter: AdapterConfig, factor: number): AdapterConfig {
  const pruned = isPruned(adapter);
  const scale = (width: number) => Math.max(1, Math.round(width * factor));
  return {
    ...adapter,
    ...(pruned.attention ? { attention_bottleneck: scale(adapter.attention_bottleneck) } : {}),
    ...(pruned.ffn ? { ffn_bottleneck: scale(adapter.ffn_bottleneck) } : {}),
  };
}

function countDense(adapter: AdapterConfig, backbone: PlannedBackbone): number {
  const { matrices, fixed } = adapterSizes(adapter, backbone);
  return sum(matrices) + fixed;
}
