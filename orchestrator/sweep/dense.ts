import type { PruneConfig } from './types';

/** No pruning: every key has the value that means unused. */
export const DENSE: PruneConfig = {
  pruner: 'none',
  sparsity: 0,
  scope: 'global',
  scoring_rows: 0,
  temperature: 0,
  rounds: 1,
  schedule: 'exponential',
  control: 'none',
  reinitialize: false,
  structure: 'weights',
  group_size: 0,
  group_kept: 0,
  every_steps: 0,
  begin_step: 0,
  rules: 'exact',
};
