/**
 * The settings of a trial that capabilities do not list, and which of their values an engine on
 * this host must handle. A value that the contract gains is refused by its name until it is here.
 */
import {
  Activation,
  AdapterInit,
  LearningRateSchedule,
  MaskControl,
  Optimizer,
  PrefixInit,
  PrefixUse,
  PruneSchedule,
  PruneScope,
  ScoringHead,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Enumeration } from './violations';
import type { WholeTrial } from './whole-spec';

export interface Setting {
  /** Its path in a trial. */
  field: string;
  enumeration: Enumeration;
  supported: readonly number[];
  read(this: void, trial: WholeTrial): number;
}

export const HANDLED_SETTINGS: readonly Setting[] = [
  {
    field: 'adapter.activation',
    enumeration: Activation,
    supported: [
      Activation.ACTIVATION_RELU,
      Activation.ACTIVATION_GELU,
      Activation.ACTIVATION_SWISH,
    ],
    read: ({ adapter }) => adapter.activation,
  },
  {
    field: 'adapter.init',
    enumeration: AdapterInit,
    supported: [AdapterInit.ADAPTER_INIT_GAUSSIAN, AdapterInit.ADAPTER_INIT_ZERO_UP],
    read: ({ adapter }) => adapter.init,
  },
  {
    field: 'adapter.attention_init',
    enumeration: AdapterInit,
    supported: [AdapterInit.ADAPTER_INIT_GAUSSIAN, AdapterInit.ADAPTER_INIT_ZERO_UP],
    read: ({ adapter }) => adapter.attentionInit,
  },
  {
    field: 'adapter.prefix_init',
    enumeration: PrefixInit,
    supported: [PrefixInit.PREFIX_INIT_TORCH],
    read: ({ adapter }) => adapter.prefixInit,
  },
  {
    field: 'adapter.prefix_use',
    enumeration: PrefixUse,
    // The others are for encoder–decoders.
    supported: [
      PrefixUse.PREFIX_USE_CROSS,
      PrefixUse.PREFIX_USE_CROSS_PLAIN,
      PrefixUse.PREFIX_USE_CROSS_RELU,
    ],
    read: ({ adapter }) => adapter.prefixUse,
  },
  {
    field: 'prune.scope',
    enumeration: PruneScope,
    supported: [PruneScope.PRUNE_SCOPE_GLOBAL, PruneScope.PRUNE_SCOPE_LOCAL],
    read: ({ prune }) => prune.scope,
  },
  {
    field: 'prune.schedule',
    enumeration: PruneSchedule,
    supported: [
      PruneSchedule.PRUNE_SCHEDULE_EXPONENTIAL,
      PruneSchedule.PRUNE_SCHEDULE_LINEAR,
      PruneSchedule.PRUNE_SCHEDULE_CUBIC,
    ],
    read: ({ prune }) => prune.schedule,
  },
  {
    field: 'prune.control',
    enumeration: MaskControl,
    supported: [
      MaskControl.MASK_CONTROL_NONE,
      MaskControl.MASK_CONTROL_INVERTED,
      MaskControl.MASK_CONTROL_SHUFFLED,
    ],
    read: ({ prune }) => prune.control,
  },
  {
    field: 'prune.scoring_head',
    enumeration: ScoringHead,
    supported: [ScoringHead.SCORING_HEAD_PRIOR, ScoringHead.SCORING_HEAD_WARMED_UP],
    read: ({ prune }) => prune.scoringHead,
  },
  {
    field: 'train.schedule',
    enumeration: LearningRateSchedule,
    supported: [
      LearningRateSchedule.LEARNING_RATE_SCHEDULE_LINEAR,
      LearningRateSchedule.LEARNING_RATE_SCHEDULE_CONSTANT,
    ],
    read: ({ train }) => train.schedule,
  },
  {
    field: 'train.optimizer',
    enumeration: Optimizer,
    supported: [Optimizer.OPTIMIZER_ADAMW_DECAY_AFTER],
    read: ({ train }) => train.optimizer,
  },
];
