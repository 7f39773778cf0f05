import type { PlannedDataset, TrainConfig } from './types';

/** The last step of an epoch takes the remaining rows or, in question answering, features. */
export function stepsPerEpoch(
  dataset: PlannedDataset,
  { batch_size, accumulated_batches }: Pick<TrainConfig, 'batch_size' | 'accumulated_batches'>,
): number {
  const train = dataset.splits.find((split) => split.name === 'train');
  const batches = Math.ceil((train?.features ?? train?.rows ?? 0) / batch_size);
  // What an epoch has left over waits for the next one.
  return accumulated_batches === undefined
    ? batches
    : Math.max(1, Math.floor(batches / accumulated_batches));
}
