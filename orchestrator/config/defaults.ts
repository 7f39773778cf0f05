import type { AdapterConfig, PruneScope } from '../sweep/types';
import type { TrainSettings } from './sweep-config';

/** What holds for every key that a sweep file leaves out. All defaults are here; nothing else in the project has any. */

export const DEFAULT_BACKBONE = 'all-MiniLM-L6-v2';
export const DEFAULT_SEEDS: readonly number[] = [1, 2, 3];
export const DEFAULT_MAX_LENGTH = 128;
export const DEFAULT_SCOPE: PruneScope = 'global';
/** Training rows behind one snip gradient: enough that a few hundred thousand scores are not decided by single rows. */
export const DEFAULT_SCORING_ROWS = 128;

/** SparseAdapter's official code: both modules of width 64, norm before, scale 1, "bert" init. */
export const DEFAULT_ADAPTER: AdapterConfig = {
  kind: 'houlsby',
  attention_bottleneck: 64,
  ffn_bottleneck: 64,
  scale: 1,
  norm: 'before',
  activation: 'relu',
  init: 'gaussian',
  init_std: 0.02,
};

/** Weight decay as in the official code. Learning rate and dropout are for the small default backbone (docs/results.md says how they were found); the
 * paper's are in profile `paper`. */
export const DEFAULT_TRAIN: TrainSettings = {
  epochs: 4,
  steps: null,
  batch_size: 32,
  learning_rate: 5e-4,
  weight_decay: 0.1,
  warmup: 0.06,
  schedule: 'linear',
  max_grad_norm: 1,
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  adam_epsilon: 1e-8,
  dropout: 0,
  attention_dropout: 0,
};
