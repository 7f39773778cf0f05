/**
 * From a plan to a trainer's job. Pure: the same plan gives the same jobs, hence the same ids, at
 * any time and in any process.
 */
import { createHash } from 'node:crypto';
import {
  Activation,
  AdapterInit,
  AdapterNorm,
  AttentionModule,
  FfnModule,
  Generation,
  JobSpec,
  LearningRateSchedule,
  MaskControl,
  MaskRules,
  MaskStructure,
  Precision,
  PruneSchedule,
  PruneScope,
  Pruner,
  Unfrozen,
  type Trial as SpecTrial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { listEvaluationSplits } from '../datasets/splits';
import { canonicalJson } from '../sweep/canonical';
import { datasetOf } from '../sweep/lookup';
import { contractKind } from '../tasks/registry';
import type {
  AdapterConfig,
  Cohort,
  GenerationConfig,
  Plan,
  PlannedDataset,
  PruneConfig,
  Trial,
  TrainConfig,
} from '../sweep/types';

export type Work = 'prune' | 'train' | 'predict';

export interface WorkOptions {
  /** `train`: stop each trial at this step of its own; 0, the default, at its end. */
  untilStep?: number;
  /** `train`: a checkpoint each so many steps. */
  checkpointEverySteps?: number;
  /** `train`: a metric each so many steps. */
  logEverySteps?: number;
  /** `train`: keep the newest so many checkpoints of a trial. */
  keepCheckpoints?: number;
  /** `predict`: the splits; all but `train` where left out. */
  splits?: string[];
}

/**
 * A checkpoint is a few MB and takes milliseconds; 50 steps are under a minute of work on two
 * cores, which is what a crash costs.
 */
const CHECKPOINT_EVERY_STEPS = 50;
const LOG_EVERY_STEPS = 10;
/** The newest, and one before it should the newest be broken. */
const KEEP_CHECKPOINTS = 2;

export const ATTENTION_MODULES: Record<AdapterConfig['attention'], AttentionModule> = {
  none: AttentionModule.ATTENTION_MODULE_NONE,
  sequential: AttentionModule.ATTENTION_MODULE_SEQUENTIAL,
  parallel: AttentionModule.ATTENTION_MODULE_PARALLEL,
  lora: AttentionModule.ATTENTION_MODULE_LORA,
  prefix: AttentionModule.ATTENTION_MODULE_PREFIX,
  prompt: AttentionModule.ATTENTION_MODULE_PROMPT,
};
export const FFN_MODULES: Record<AdapterConfig['ffn'], FfnModule> = {
  none: FfnModule.FFN_MODULE_NONE,
  sequential: FfnModule.FFN_MODULE_SEQUENTIAL,
  parallel: FfnModule.FFN_MODULE_PARALLEL,
  lora: FfnModule.FFN_MODULE_LORA,
  after_norm: FfnModule.FFN_MODULE_AFTER_NORM,
};
export const PRUNERS: Record<PruneConfig['pruner'], Pruner> = {
  none: Pruner.PRUNER_NONE,
  rand: Pruner.PRUNER_RAND,
  mag: Pruner.PRUNER_MAG,
  snip: Pruner.PRUNER_SNIP,
  er: Pruner.PRUNER_ER,
  grasp: Pruner.PRUNER_GRASP,
  synflow: Pruner.PRUNER_SYNFLOW,
};
/** FLOAT32 is left unsaid, so that such a job is the one that it was before there was a choice. */
export const PRECISIONS: Record<NonNullable<Trial['precision']>, Precision> = {
  tf32: Precision.PRECISION_TF32,
  bf16: Precision.PRECISION_BF16,
};
export const UNFROZEN: Record<AdapterConfig['unfrozen'], Unfrozen> = {
  none: Unfrozen.UNFROZEN_NONE,
  biases: Unfrozen.UNFROZEN_BIASES,
  all: Unfrozen.UNFROZEN_ALL,
};
export const MASK_STRUCTURES: Record<PruneConfig['structure'], MaskStructure> = {
  weights: MaskStructure.MASK_STRUCTURE_WEIGHTS,
  n_m: MaskStructure.MASK_STRUCTURE_N_M,
  units: MaskStructure.MASK_STRUCTURE_UNITS,
};
export const MASK_RULES: Record<PruneConfig['rules'], MaskRules> = {
  exact: MaskRules.MASK_RULES_EXACT,
  official: MaskRules.MASK_RULES_OFFICIAL,
};
const NORMS: Record<AdapterConfig['norm'], AdapterNorm> = {
  none: AdapterNorm.ADAPTER_NORM_NONE,
  before: AdapterNorm.ADAPTER_NORM_BEFORE,
  after: AdapterNorm.ADAPTER_NORM_AFTER,
};
const ACTIVATIONS: Record<AdapterConfig['activation'], Activation> = {
  relu: Activation.ACTIVATION_RELU,
  gelu: Activation.ACTIVATION_GELU,
  swish: Activation.ACTIVATION_SWISH,
};
const INITS: Record<AdapterConfig['init'], AdapterInit> = {
  gaussian: AdapterInit.ADAPTER_INIT_GAUSSIAN,
  zero_up: AdapterInit.ADAPTER_INIT_ZERO_UP,
};
const SCOPES: Record<PruneConfig['scope'], PruneScope> = {
  global: PruneScope.PRUNE_SCOPE_GLOBAL,
  local: PruneScope.PRUNE_SCOPE_LOCAL,
};
const PRUNE_SCHEDULES: Record<PruneConfig['schedule'], PruneSchedule> = {
  exponential: PruneSchedule.PRUNE_SCHEDULE_EXPONENTIAL,
  linear: PruneSchedule.PRUNE_SCHEDULE_LINEAR,
  cubic: PruneSchedule.PRUNE_SCHEDULE_CUBIC,
};
const CONTROLS: Record<PruneConfig['control'], MaskControl> = {
  none: MaskControl.MASK_CONTROL_NONE,
  inverted: MaskControl.MASK_CONTROL_INVERTED,
  shuffled: MaskControl.MASK_CONTROL_SHUFFLED,
};
const SCHEDULES: Record<TrainConfig['schedule'], LearningRateSchedule> = {
  linear: LearningRateSchedule.LEARNING_RATE_SCHEDULE_LINEAR,
  constant: LearningRateSchedule.LEARNING_RATE_SCHEDULE_CONSTANT,
};

/**
 * The job that does `work` for these trials of a cohort, in this order. Throws where a trial is not
 * of the cohort or the plan.
 */
export function jobSpecFor(
  plan: Plan,
  cohort: Cohort,
  trialIds: readonly string[],
  work: Work,
  options: WorkOptions = {},
): JobSpec {
  const dataset = datasetOf(plan, cohort.dataset);
  const trials = trialIds.map((id) => {
    const trial = plan.trials.find((each) => each.id === id);
    if (!trial || !cohort.trials.includes(id))
      throw new Error(`trial ${id} is not in cohort ${cohort.id} of sweep ${plan.sweep_id}`);
    return trial;
  });
  return {
    backbone: { path: plan.backbone.path, digest: plan.backbone.digest },
    dataset: {
      name: `datasets/${dataset.digest}`,
      digest: dataset.digest,
      taskKind: contractKind(dataset.kind),
      numLabels: dataset.num_labels,
    },
    trials: trials.map(specTrial),
    // All trials of a sweep's data set generate alike.
    work: specWork(work, dataset, trials[0]?.generation, options),
    // All trials of a cohort compute alike.
    precision: specPrecision(trials[0]?.precision),
  };
}

/** Hex SHA-256 of the specification's canonical JSON. */
export function specDigest(spec: JobSpec): string {
  return createHash('sha256')
    .update(canonicalJson(JobSpec.toJSON(spec)))
    .digest('hex');
}

/**
 * The id of a specification's job. A retry of a job that has ended is another generation: `2` after
 * `1`, or any other [a-z0-9-].
 */
export function jobId(digest: string, generation: number | string): string {
  return `${digest}-g${generation}`;
}

function specTrial({ id, seed, adapter, prune, train }: Trial): SpecTrial {
  return {
    trialId: id,
    seed,
    adapter: {
      attention: ATTENTION_MODULES[adapter.attention],
      ffn: FFN_MODULES[adapter.ffn],
      attentionBottleneck: adapter.attention_bottleneck,
      ffnBottleneck: adapter.ffn_bottleneck,
      scale: adapter.scale,
      norm: NORMS[adapter.norm],
      activation: ACTIVATIONS[adapter.activation],
      init: INITS[adapter.init],
      initStd: adapter.init_std,
      loraAlpha: adapter.lora_alpha,
      prefixHidden: adapter.prefix_hidden,
      unfrozen: UNFROZEN[adapter.unfrozen],
    },
    prune: {
      pruner: PRUNERS[prune.pruner],
      sparsity: prune.sparsity,
      scope: SCOPES[prune.scope],
      scoringRows: prune.scoring_rows,
      temperature: prune.temperature,
      rounds: prune.rounds,
      schedule: PRUNE_SCHEDULES[prune.schedule],
      control: CONTROLS[prune.control],
      reinitialize: prune.reinitialize,
      structure: MASK_STRUCTURES[prune.structure],
      groupSize: prune.group_size,
      groupKept: prune.group_kept,
      everySteps: prune.every_steps,
      beginStep: prune.begin_step,
      rules: MASK_RULES[prune.rules],
    },
    train: {
      batchSize: train.batch_size,
      totalSteps: train.total_steps,
      learningRate: train.learning_rate,
      weightDecay: train.weight_decay,
      warmup: train.warmup,
      schedule: SCHEDULES[train.schedule],
      maxGradNorm: train.max_grad_norm,
      adamBeta1: train.adam_beta1,
      adamBeta2: train.adam_beta2,
      adamEpsilon: train.adam_epsilon,
      dropout: train.dropout,
      attentionDropout: train.attention_dropout,
      labelSmoothing: train.label_smoothing ?? 0,
    },
  };
}

function specWork(
  work: Work,
  dataset: PlannedDataset,
  generation: GenerationConfig | undefined,
  options: WorkOptions,
): JobSpec['work'] {
  switch (work) {
    case 'prune':
      return { $case: 'prune', value: {} };
    case 'train':
      return {
        $case: 'train',
        value: {
          untilStep: options.untilStep ?? 0,
          checkpointEverySteps: options.checkpointEverySteps ?? CHECKPOINT_EVERY_STEPS,
          logEverySteps: options.logEverySteps ?? LOG_EVERY_STEPS,
          keepCheckpoints: options.keepCheckpoints ?? KEEP_CHECKPOINTS,
        },
      };
    case 'predict': {
      const evaluated = listEvaluationSplits(dataset);
      return {
        $case: 'predict',
        value: {
          splits: options.splits ?? evaluated,
          generation: generation && specGeneration(generation),
        },
      };
    }
  }
}

function specPrecision(precision: Trial['precision']): Precision {
  return precision === undefined ? Precision.PRECISION_UNSPECIFIED : PRECISIONS[precision];
}

function specGeneration({
  beams,
  min_length,
  max_length,
  no_repeat_ngram,
  length_penalty,
}: GenerationConfig): Generation {
  return {
    beams,
    minLength: min_length,
    maxLength: max_length,
    noRepeatNgram: no_repeat_ngram,
    lengthPenalty: length_penalty,
  };
}
