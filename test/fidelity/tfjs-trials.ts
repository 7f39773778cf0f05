/** The trials that both trainers do side by side in tfjs-trainer.test.ts. */
import {
  Activation,
  AdapterInit,
  AdapterNorm,
  AttentionModule,
  FfnModule,
  MaskControl,
  MaskRules,
  Optimizer,
  PrefixInit,
  PrefixUse,
  PruneScope,
  Pruner,
  Unfrozen,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { HEAD_ALONE, trial } from '../support/jobs';

const STEPS = 50;
export const noDropout = { dropout: 0, attentionDropout: 0 };
const { adapter: without, prune: dense } = HEAD_ALONE;

/** Every form that the trainer has, every pruner, both scopes, all controls. */
export const TRIALS: Trial[] = [
  trial('houlsby-snip', { train: noDropout }),
  trial('pfeiffer-mag', {
    adapter: {
      ...without,
      ffn: FfnModule.FFN_MODULE_AFTER_NORM,
      ffnBottleneck: 8,
      activation: Activation.ACTIVATION_GELU,
      norm: AdapterNorm.ADAPTER_NORM_NONE,
    },
    prune: { pruner: Pruner.PRUNER_MAG, sparsity: 0.4, control: MaskControl.MASK_CONTROL_INVERTED },
    train: noDropout,
  }),
  trial('lora-synflow', {
    adapter: { attention: AttentionModule.ATTENTION_MODULE_LORA, ffn: FfnModule.FFN_MODULE_LORA },
    prune: { pruner: Pruner.PRUNER_SYNFLOW, rounds: 10 },
    train: noDropout,
  }),
  trial('lora-snip-in-rounds', {
    adapter: { attention: AttentionModule.ATTENTION_MODULE_LORA, ffn: FfnModule.FFN_MODULE_LORA },
    prune: { rounds: 3, scope: PruneScope.PRUNE_SCOPE_LOCAL },
    train: noDropout,
  }),
  trial('parallel-rand', {
    adapter: {
      attention: AttentionModule.ATTENTION_MODULE_PARALLEL,
      ffn: FfnModule.FFN_MODULE_PARALLEL,
      scale: 4,
      norm: AdapterNorm.ADAPTER_NORM_AFTER,
      activation: Activation.ACTIVATION_SWISH,
    },
    prune: { pruner: Pruner.PRUNER_RAND, control: MaskControl.MASK_CONTROL_SHUFFLED },
    train: noDropout,
  }),
  trial('houlsby-er', {
    prune: { pruner: Pruner.PRUNER_ER, reinitialize: true },
    train: noDropout,
  }),
  trial('bitfit', {
    adapter: { ...without, unfrozen: Unfrozen.UNFROZEN_BIASES },
    prune: dense,
    train: noDropout,
  }),
  trial('head-only', { adapter: without, prune: dense, train: noDropout }),
].map((each) => ({ ...each, train: { ...each.train!, totalSteps: STEPS } }));

export const published = {
  ...noDropout,
  optimizer: Optimizer.OPTIMIZER_ADAMW_DECAY_AFTER,
  weightDecay: 0.1,
  labelSmoothing: 0.1,
};
export const atFfn = { ...without, ffn: FfnModule.FFN_MODULE_SEQUENTIAL, ffnBottleneck: 8 };
const withPrefix = {
  ...without,
  attention: AttentionModule.ATTENTION_MODULE_PREFIX,
  attentionBottleneck: 5,
};

/** What the contract has gained since its first release, and prefixes. */
export const LATER_TRIALS: Trial[] = [
  trial('own-attention', {
    adapter: {
      ...{ attentionScale: 2, attentionNorm: AdapterNorm.ADAPTER_NORM_UPDATE },
      ...{ attentionInit: AdapterInit.ADAPTER_INIT_GAUSSIAN, frozen: ['head.*'] },
      ffnAfterDropout: true,
    },
    train: published,
  }),
  trial('learned-scale', {
    adapter: { ...atFfn, learnedScale: true, scale: 3, innerDropout: true },
    prune: { pruner: Pruner.PRUNER_MAG },
    train: published,
  }),
  trial('parallel-context', {
    adapter: { attention: AttentionModule.ATTENTION_MODULE_PARALLEL_CONTEXT },
    prune: { pruner: Pruner.PRUNER_SNIP },
    train: published,
  }),
  trial('concat', {
    adapter: { attention: AttentionModule.ATTENTION_MODULE_CONCAT },
    train: noDropout,
  }),
  trial('concat-padded', {
    adapter: { attention: AttentionModule.ATTENTION_MODULE_CONCAT, paddedTokens: 40 },
    train: noDropout,
  }),
  trial('batches-and-parts', {
    prune: { scoringBatch: 7, scoringRows: 20 },
    train: { ...noDropout, accumulatedBatches: 3, lossParts: 2, batchSize: 5 },
  }),
  ...[Pruner.PRUNER_RAND, Pruner.PRUNER_MAG, Pruner.PRUNER_SNIP, Pruner.PRUNER_SYNFLOW].flatMap(
    (pruner) => [
      trial(`later-${pruner}`, {
        prune: { pruner, rounds: 3, everySteps: 2, beginStep: 1, sparsity: 0.6 },
        train: noDropout,
      }),
      trial(`official-${pruner}`, {
        prune: { pruner, rounds: 2, rules: MaskRules.MASK_RULES_OFFICIAL, temperature: 1 },
        train: noDropout,
      }),
      trial(`published-${pruner}`, {
        // With UPDATE, SynFlow's scores would be rounding errors.
        adapter: { norm: AdapterNorm.ADAPTER_NORM_NONE, frozen: ['head.*'] },
        prune: {
          ...{ pruner, rounds: 2, rules: MaskRules.MASK_RULES_OFFICIAL, temperature: 1 },
          ...{ everySteps: 4, repeats: 2, sparsity: 0.6, scoringBatch: 8 },
          ...{ keepsRemovedWeights: true, keepsScoringGradients: true },
        },
        train: published,
      }),
    ],
  ),
  trial('prefix', { adapter: withPrefix, prune: dense, train: noDropout }),
  trial('prefix-mlp', {
    adapter: { ...withPrefix, prefixHidden: 7, prefixInit: PrefixInit.PREFIX_INIT_TORCH },
    prune: dense,
    train: noDropout,
  }),
  ...[
    PrefixUse.PREFIX_USE_CROSS,
    PrefixUse.PREFIX_USE_CROSS_PLAIN,
    PrefixUse.PREFIX_USE_CROSS_RELU,
  ].map((prefixUse) =>
    trial(`prefix-use-${prefixUse}`, {
      adapter: { ...withPrefix, prefixUse },
      prune: dense,
      train: noDropout,
    }),
  ),
].map((each) => ({ ...each, train: { ...each.train!, totalSteps: 10 } }));

/** Tensors of the backbone trained in place: such a trial is alone in its job. */
export const IN_PLACE: Trial[] = [
  trial('some-tensors', {
    adapter: { ...without, unfrozenTensors: ['*.bias', '*.query.weight'] },
    prune: dense,
    train: noDropout,
  }),
  trial('full', {
    adapter: { ...without, unfrozen: Unfrozen.UNFROZEN_ALL },
    prune: dense,
    train: noDropout,
  }),
].map((each) => ({ ...each, train: { ...each.train!, totalSteps: 10 } }));
