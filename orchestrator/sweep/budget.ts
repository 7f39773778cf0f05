import type { AdapterConfig, Budget, PlannedBackbone, PruneConfig } from './types';

const BYTES_PER_WEIGHT = 4;

/**
 * Sizes of an adapter, in weights.
 *
 * With d the hidden size and r a module's bottleneck, a module has two prunable matrices of d · r weights, biases of r + d, and where it
 * normalizes 2 · d more. Of n prunable weights a scope keeps floor((1 − sparsity) · n + 0.5): one scope for all matrices, or one each
 * (Prune in job.proto). The head is dense [d, d] and out [labels, d] with biases. `stored_bytes` counts the tensors of
 * adapter_model.safetensors, zeros included; the file's header (names and shapes) comes on top.
 */
export function budgetOf(adapter: AdapterConfig, prune: PruneConfig, backbone: PlannedBackbone, numLabels: number): Budget {
  const d = backbone.hidden_size;
  const matrices: number[] = [];
  let fixed = 0;
  for (const r of [adapter.attention_bottleneck, adapter.ffn_bottleneck]) {
    if (r === 0) {
      continue;
    }
    for (let layer = 0; layer < backbone.num_layers; layer++) {
      matrices.push(d * r, d * r);
      fixed += r + d + (adapter.norm === 'none' ? 0 : 2 * d);
    }
  }
  const prunable = sum(matrices);
  const kept = prune.scope === 'local' ? sum(matrices.map((n) => keptOf(n, prune.sparsity))) : keptOf(prunable, prune.sparsity);
  const head = d * d + d + numLabels * d + numLabels;
  const trainable = prunable + fixed;
  return { trainable, kept: kept + fixed, head, stored_bytes: BYTES_PER_WEIGHT * (trainable + head) };
}

/** How many of n weights a scope keeps; the rule that trainers follow to the weight. */
function keptOf(n: number, sparsity: number): number {
  return Math.floor((1 - sparsity) * n + 0.5);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
