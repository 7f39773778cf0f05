import { computeBudget } from '../sweep/budget';
import type { Budget, PlannedBackbone, PlannedDataset, Trial } from '../sweep/types';
import { findFamily } from './registry';

/** Sizes of a trial's adapter and head, in weights; see computeBudget. */
export function countBudget(
  { adapter, prune }: Pick<Trial, 'adapter' | 'prune'>,
  backbone: PlannedBackbone,
  { kind, num_labels }: Pick<PlannedDataset, 'kind' | 'num_labels'>,
): Budget {
  const head = findFamily(kind).countHead(backbone.hidden_size, num_labels);
  return computeBudget(adapter, prune, backbone, head);
}
