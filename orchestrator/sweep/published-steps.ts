/** How the code published with SparseAdapter prunes and trains, as fields of a trial. Pure. */
import { usesKey } from '../../common/vocabulary/pruners';
import { DENSE } from './dense';
import type { PruneConfig, TrainConfig } from './types';

/** It prunes before an epoch, with these batches and this many rows. */
export interface PublishedRounds {
  steps_per_epoch: number;
  batch_size: number;
  /** The first epoch before which it prunes, and before how many. */
  begin_epoch: number;
  repeats: number;
}

/** Rows that are scored on unless something else is asked for: 32 for each of `--length`. */
export const PUBLISHED_SCORING_ROWS = 320;

/** At sparsity 0 it does not prune at all. */
export function publishPrune(prune: PruneConfig, rounds: PublishedRounds): PruneConfig {
  if (prune.pruner === 'none' || prune.sparsity === 0) return DENSE;
  const { steps_per_epoch, batch_size, begin_epoch, repeats } = rounds;
  const leavesGradients = ['snip', 'grasp', 'synflow'].includes(prune.pruner);
  const scoring_batch =
    prune.pruner === 'grasp' ? Math.max(1, Math.floor(batch_size / 2)) : batch_size;
  return {
    ...prune,
    begin_step: begin_epoch * steps_per_epoch,
    every_steps: steps_per_epoch,
    repeats,
    keeps_removed_weights: true,
    ...(leavesGradients ? { keeps_scoring_gradients: true as const } : {}),
    ...(usesKey(prune.pruner, 'scoring_rows') ? { scoring_batch } : {}),
  };
}

export function publishTrain(train: TrainConfig): TrainConfig {
  return { ...train, optimizer: 'adamw_decay_after' };
}
