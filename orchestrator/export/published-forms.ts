/** Forms of adapters that only the published SparseAdapter code has. */
import type { AdapterConfig } from '../sweep/types';

/**
 * Why no other library has an adapter of this form, as the rest of a sentence; null for a form that
 * others may have. What matters only in training is no reason.
 */
export function findPublishedForm(adapter: AdapterConfig): string | null {
  const { attention, attention_norm, norm, learned_scale, attention_scale } = adapter;
  if (attention === 'parallel_context' || attention === 'concat')
    return `only the published code has the module ${attention}`;
  if (norm === 'update' || attention_norm === 'update')
    return 'only the published code normalizes what a module adds';
  if (learned_scale === true) return "only the published code learns a module's scale";
  if (adapter.prefix_use !== undefined)
    return `only the published code reads a prefix as ${adapter.prefix_use}`;
  if (adapter.unfrozen_tensors !== undefined)
    return "the trial also replaces the backbone's own tensors";
  if (attention_scale !== undefined || attention_norm !== undefined)
    return 'only the published code has another scale or norm at attention';
  return null;
}
