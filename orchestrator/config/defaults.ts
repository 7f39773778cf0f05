import type { AdapterKindName } from '../../common/vocabulary/adapter-kinds';
import type { MaskControlName } from '../../common/vocabulary/mask-controls';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { PruneScheduleName } from '../../common/vocabulary/prune-schedules';
import type { PruneScopeName } from '../../common/vocabulary/prune-scopes';
import type { AdapterConfig } from '../sweep/types';
import type { CompareKeys } from './compare-schema';
import type { Progressive, TrainSettings } from './sweep-config';

/**
 * Defaults for the keys of a sweep file. Those that depend on the kind of adapter, the pruner or
 * the task family are in the tables or folders of these. A trainer has no defaults.
 */

export const DEFAULT_BACKBONE = 'all-MiniLM-L6-v2';
/**
 * By the trainer's kind of device, for encoders and encoder–decoders alike. bf16 makes a GPU
 * several times faster. On a CPU the gain is less than twofold, and results that other machines
 * reproduce are worth more.
 */
export const DEFAULT_PRECISION: Readonly<Record<'cpu' | 'cuda', PrecisionName>> = {
  cpu: 'float32',
  cuda: 'bf16',
};
/** A sweep that compares nothing trains the dense adapter. */
export const DEFAULT_COMPARE: readonly CompareKeys[] = [{ pruner: ['none'] }];
export const DEFAULT_SEEDS: readonly number[] = [1, 2, 3];
/** Of a search: two tell a good value from a bad one, and leave most of the time to the table. */
export const DEFAULT_SEARCH_SEEDS: readonly number[] = [101, 102];
export const DEFAULT_HOLD_OUT = 0.1;
export const DEFAULT_SCOPE: PruneScopeName = 'global';
/**
 * Training rows behind the gradient that weights are scored by: enough that no single row decides a
 * few hundred thousand scores.
 */
export const DEFAULT_SCORING_ROWS = 128;
/** As in GraSP's paper (Wang et al. 2020). */
export const DEFAULT_TEMPERATURE = 200;
/** For `compat: official`: the published code does not divide the logits. */
export const OFFICIAL_TEMPERATURE = 1;
export const DEFAULT_PRUNE_SCHEDULE: PruneScheduleName = 'exponential';
/**
 * For pruning during training: one round per epoch, after a first epoch that learns what to keep.
 */
export const DEFAULT_PROGRESSIVE: Progressive = { begin_epoch: 1, every_epochs: 1 };
export const DEFAULT_CONTROL: MaskControlName = 'none';

export const DEFAULT_ADAPTER_KIND: AdapterKindName = 'houlsby';

/**
 * As in SparseAdapter's official code: norm before, scale 1, "bert" init for every kind, an MLP of
 * width 800 that computes a prefix. LoRA's α is that of Hu et al. (2021) for RoBERTa large at rank
 * 8 (the official code has 32).
 */
export const DEFAULT_ADAPTER: Omit<
  AdapterConfig,
  'attention' | 'ffn' | 'attention_bottleneck' | 'ffn_bottleneck' | 'unfrozen'
> = {
  scale: 1,
  norm: 'before',
  activation: 'relu',
  init: 'gaussian',
  init_std: 0.02,
  lora_alpha: 16,
  prefix_hidden: 800,
};

/**
 * For `compat: official`, where the published code differs from DEFAULT_ADAPTER: LoRA's α, and
 * LoRA's init in an adapter of LoRA modules only (here one init applies to all matrices of an
 * adapter).
 */
export const OFFICIAL_LORA = { lora_alpha: 32, init: 'zero_up' } as const;

/**
 * For `compat: official`, what the published scripts never state: no warm-up, and the dropout of
 * their backbones' configurations.
 */
export const PUBLISHED_TRAIN = { warmup: 0, dropout: 0.1, attention_dropout: 0.1 } as const;

/**
 * Weight decay is that of the official code. Learning rate and dropout suit the small default
 * backbone (docs/results.md tells how they were found); the paper's are in the profile `paper`.
 */
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
