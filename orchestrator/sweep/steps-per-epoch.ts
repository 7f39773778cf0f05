import type { PlannedDataset, TrainConfig } from './types';

/** Longer training is a slip: years at any speed. */
export const MOST_STEPS = 1_000_000_000;
export const MOST_EPOCHS = 1_000_000;

/** What an epoch goes through: training rows or, in question answering, their features. */
export function countTrainRows({ splits }: Pick<PlannedDataset, 'splits'>): number {
  const train = splits.find(({ name }) => name === 'train');
  return train?.features ?? train?.rows ?? 0;
}

/** The last step of an epoch takes the remaining rows or, in question answering, features. */
export function stepsPerEpoch(
  dataset: PlannedDataset,
  { batch_size, accumulated_batches }: Pick<TrainConfig, 'batch_size' | 'accumulated_batches'>,
): number {
  const batches = Math.ceil(countTrainRows(dataset) / batch_size);
  // What an epoch has left over waits for the next one.
  return accumulated_batches === undefined
    ? batches
    : Math.max(1, Math.floor(batches / accumulated_batches));
}
