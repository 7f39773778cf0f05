import { isBottleneck } from '../config/adapter-kinds';
import type { AdapterConfig, Budget, PlannedBackbone, PruneConfig } from './types';

const BYTES_PER_WEIGHT = 4;

/** The trained parameters of an adapter, in weights: what is prunable, by matrix, and what is not (biases, norms, prefixes). */
export interface AdapterSizes {
  matrices: number[];
  fixed: number;
}

type BackboneSizes = Pick<PlannedBackbone, 'hidden_size' | 'intermediate_size' | 'num_layers'>;

/**
 * Counts the tensors that `Adapter` in job.proto lists.
 *
 * With d the hidden size, f the feed-forward block's inner width and r a module's bottleneck, a layer has: for a bottleneck module two
 * matrices of d · r, biases of r + d, and where it normalizes 2 · d more; for LoRA beside attention four matrices of d · r, beside the
 * feed-forward block two of d · r and two of f · r; for a prefix without an MLP 2 · r · d; for biases 6 · d + f. A prefix with an MLP of
 * width h is made once: r · d + (h · d + h) + layers · 2 · d · (h + 1).
 */
export function adapterSizes(adapter: AdapterConfig, backbone: BackboneSizes): AdapterSizes {
  const { hidden_size: d, intermediate_size: f, num_layers: layers } = backbone;
  const matrices: number[] = [];
  let fixed = 0;
  for (let layer = 0; layer < layers; layer++) {
    for (const [module, r, lora] of [
      [adapter.attention, adapter.attention_bottleneck, [d, d, d, d]],
      [adapter.ffn, adapter.ffn_bottleneck, [d, f, f, d]],
    ] as const) {
      if (isBottleneck(module)) {
        matrices.push(d * r, d * r);
        fixed += r + d + (adapter.norm === 'none' ? 0 : 2 * d);
      } else if (module === 'lora') {
        matrices.push(...lora.map((width) => width * r));
      }
    }
  }
  if (adapter.attention === 'prefix') fixed += prefixSize(adapter, d, layers);
  if (adapter.unfrozen === 'biases') fixed += layers * (6 * d + f);
  return { matrices, fixed };
}

function prefixSize({ attention_bottleneck: r, prefix_hidden: h }: AdapterConfig, d: number, layers: number): number {
  return h === 0 ? layers * 2 * r * d : r * d + h * d + h + layers * 2 * d * (h + 1);
}

/**
 * Sizes of an adapter and its head, in weights.
 *
 * Of n prunable weights a scope keeps floor((1 − sparsity) · n + 0.5): one scope for all matrices, or one each (Prune in job.proto). The
 * head is dense [d, d] and out [labels, d] with biases. `stored_bytes` counts the tensors of adapter_model.safetensors, zeros included;
 * the file's header (names and shapes) comes on top.
 */
export function budgetOf(adapter: AdapterConfig, prune: PruneConfig, backbone: BackboneSizes, numLabels: number): Budget {
  const { matrices, fixed } = adapterSizes(adapter, backbone);
  const prunable = sum(matrices);
  const kept = prune.scope === 'local' ? sum(matrices.map((n) => keptOf(n, prune.sparsity))) : keptOf(prunable, prune.sparsity);
  const d = backbone.hidden_size;
  const head = d * d + d + numLabels * d + numLabels;
  const trainable = prunable + fixed;
  return { trainable, kept: kept + fixed, head, stored_bytes: BYTES_PER_WEIGHT * (trainable + head) };
}

/** How many of n weights a scope keeps; the rule that trainers follow to the weight. */
export function keptOf(n: number, sparsity: number): number {
  return Math.floor((1 - sparsity) * n + 0.5);
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
