import type { Trial } from './types';

/** The rows that a trial trains on, epoch after epoch, until a step of its training. */
export const countTrainedRows = (
  { train }: Pick<Trial, 'train'>,
  untilStep = train.total_steps,
): number => untilStep * train.batch_size;
