/**
 * Makes a trainer's job from a plan. Pure: the same plan gives the same jobs, and so the same ids,
 * at any time and in any process.
 */
import { createHash } from 'node:crypto';
import { ACTIVATIONS } from '../../common/vocabulary/activations';
import { ADAPTER_INITS } from '../../common/vocabulary/adapter-inits';
import { ADAPTER_NORMS } from '../../common/vocabulary/adapter-norms';
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import { LEARNING_RATE_SCHEDULES } from '../../common/vocabulary/learning-rate-schedules';
import { MASK_CONTROLS } from '../../common/vocabulary/mask-controls';
import { MASK_RULES } from '../../common/vocabulary/mask-rules';
import { MASK_STRUCTURES } from '../../common/vocabulary/mask-structures';
import { OPTIMIZERS } from '../../common/vocabulary/optimizers';
import { PRECISIONS } from '../../common/vocabulary/precisions';
import { PREFIX_INITS } from '../../common/vocabulary/prefix-inits';
import { PREFIX_USES } from '../../common/vocabulary/prefix-uses';
import { PRUNE_SCHEDULES } from '../../common/vocabulary/prune-schedules';
import { PRUNE_SCOPES } from '../../common/vocabulary/prune-scopes';
import { PRUNERS } from '../../common/vocabulary/pruners';
import { SCORING_HEADS } from '../../common/vocabulary/scoring-heads';
import { UNFROZEN } from '../../common/vocabulary/unfrozen';
import {
  Generation,
  JobSpec,
  Precision,
  type Trial as SpecTrial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { listEvaluationSplits } from '../datasets/splits';
import { canonicalJson } from '../sweep/canonical';
import { findDataset, findTrial } from '../sweep/lookup';
import type {
  AdapterConfig,
  Cohort,
  GenerationConfig,
  Plan,
  PlannedDataset,
  Trial,
} from '../sweep/types';
import { contractKind } from '../tasks/registry';

/** The stages of a trial that run on a trainer. */
export type Work = 'prune' | 'train' | 'predict';

export interface WorkOptions {
  /** The backbone's path as the trainer sees it; the plan's, on this machine, if left out. */
  backbonePath?: string;
  /** `train`: stop each trial at this step; 0, the default, at its end. */
  untilStep?: number;
  /** `train`: steps between checkpoints; 0, the default, for by time alone. */
  checkpointEverySteps?: number;
  /** `train`: seconds between checkpoints, about; 0 for none by time. */
  checkpointSeconds?: number;
  /** `train`: steps between metrics. */
  logEverySteps?: number;
  /** `train`: how many of a trial's newest checkpoints to keep. */
  keepCheckpoints?: number;
  /** `train`: how long each trial's training may take; the cohort's limit if left out. */
  maxSeconds?: number;
  /** `predict`: at this step of training, before the last; 0, the default, at its end. */
  atStep?: number;
  /** `predict`: the splits; all but `train` if left out. */
  splits?: string[];
}

/**
 * What a crash may cost. By time, not by steps: a step is milliseconds or minutes, and a checkpoint
 * some MB or GB.
 */
const CHECKPOINT_SECONDS = 180;
const LOG_EVERY_STEPS = 10;
/** The newest, and the previous one in case the newest is broken. */
const KEEP_CHECKPOINTS = 2;

/**
 * The job that does `work` for these trials of a cohort, in this order. Throws if a trial is not in
 * the cohort or plan.
 */
export function jobSpecFor(
  plan: Plan,
  cohort: Cohort,
  trialIds: readonly string[],
  work: Work,
  options: WorkOptions = {},
): JobSpec {
  const dataset = findDataset(plan, cohort.dataset);
  const trials = trialIds.map((id) => {
    if (!cohort.trials.includes(id))
      throw new Error(`trial ${id} is not in cohort ${cohort.id} of sweep ${plan.sweep_id}`);
    return findTrial(plan, id);
  });
  return {
    backbone: {
      path: options.backbonePath ?? plan.backbone.path,
      digest: plan.backbone.digest,
    },
    dataset: {
      name: `datasets/${dataset.digest}`,
      digest: dataset.digest,
      taskKind: contractKind(dataset.kind),
      numLabels: dataset.num_labels,
    },
    trials: trials.map(specTrial),
    // All trials of a sweep's data set share generation settings.
    work: specWork(work, dataset, trials[0]?.generation, {
      maxSeconds: 60 * (cohort.max_minutes ?? 0),
      ...options,
    }),
    // All trials of a cohort share their precision.
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
 * The id of a specification's job. Retrying a job that has ended takes a new generation: `2` after
 * `1`, or any other [a-z0-9-].
 */
export function jobId(digest: string, generation: number | string): string {
  return `${digest}-g${generation}`;
}

/** A trial as the contract has it. */
export function specTrial({
  id,
  seed,
  adapter,
  prune,
  train,
}: Pick<Trial, 'id' | 'seed' | 'adapter' | 'prune' | 'train'>): SpecTrial {
  return {
    trialId: id,
    seed,
    adapter: {
      attention: ATTENTION_MODULES[adapter.attention].proto,
      ffn: FFN_MODULES[adapter.ffn].proto,
      attentionBottleneck: adapter.attention_bottleneck,
      ffnBottleneck: adapter.ffn_bottleneck,
      scale: adapter.scale,
      norm: ADAPTER_NORMS[adapter.norm].proto,
      activation: ACTIVATIONS[adapter.activation].proto,
      init: ADAPTER_INITS[adapter.init].proto,
      initStd: adapter.init_std,
      loraAlpha: adapter.lora_alpha,
      prefixHidden: adapter.prefix_hidden,
      unfrozen: UNFROZEN[adapter.unfrozen].proto,
      ...laterAdapter(adapter),
    },
    prune: {
      pruner: PRUNERS[prune.pruner].proto,
      sparsity: prune.sparsity,
      scope: PRUNE_SCOPES[prune.scope].proto,
      scoringRows: prune.scoring_rows,
      temperature: prune.temperature,
      rounds: prune.rounds,
      schedule: PRUNE_SCHEDULES[prune.schedule].proto,
      control: MASK_CONTROLS[prune.control].proto,
      reinitialize: prune.reinitialize,
      structure: MASK_STRUCTURES[prune.structure].proto,
      groupSize: prune.group_size,
      groupKept: prune.group_kept,
      everySteps: prune.every_steps,
      beginStep: prune.begin_step,
      rules: MASK_RULES[prune.rules].proto,
      scoringBatch: prune.scoring_batch ?? 0,
      keepsRemovedWeights: prune.keeps_removed_weights ?? false,
      keepsScoringGradients: prune.keeps_scoring_gradients ?? false,
      repeats: prune.repeats ?? 0,
      scoringHead: prune.scoring_head ? SCORING_HEADS[prune.scoring_head].proto : 0,
      scoringHeadSteps: prune.scoring_head_steps ?? 0,
    },
    train: {
      batchSize: train.batch_size,
      totalSteps: train.total_steps,
      learningRate: train.learning_rate,
      weightDecay: train.weight_decay,
      warmup: train.warmup,
      schedule: LEARNING_RATE_SCHEDULES[train.schedule].proto,
      maxGradNorm: train.max_grad_norm,
      adamBeta1: train.adam_beta1,
      adamBeta2: train.adam_beta2,
      adamEpsilon: train.adam_epsilon,
      dropout: train.dropout,
      attentionDropout: train.attention_dropout,
      labelSmoothing: train.label_smoothing ?? 0,
      optimizer: train.optimizer ? OPTIMIZERS[train.optimizer].proto : 0,
      accumulatedBatches: train.accumulated_batches ?? 0,
      lossParts: train.loss_parts ?? 0,
    },
  };
}

/** The fields that the contract has gained, unset where the adapter has none. */
function laterAdapter(adapter: AdapterConfig) {
  const { attention_norm: norm, attention_init: init } = adapter;
  const { prefix_init, prefix_use } = adapter;
  return {
    attentionScale: adapter.attention_scale ?? 0,
    attentionNorm: norm ? ADAPTER_NORMS[norm].proto : 0,
    attentionInit: init ? ADAPTER_INITS[init].proto : 0,
    learnedScale: adapter.learned_scale ?? false,
    innerDropout: adapter.inner_dropout ?? false,
    ffnAfterDropout: adapter.ffn_after_dropout ?? false,
    prefixInit: prefix_init ? PREFIX_INITS[prefix_init].proto : 0,
    prefixUse: prefix_use ? PREFIX_USES[prefix_use].proto : 0,
    frozen: adapter.frozen ?? [],
    unfrozenTensors: adapter.unfrozen_tensors ?? [],
    paddedTokens: adapter.padded_tokens ?? 0,
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
          checkpointEverySteps: options.checkpointEverySteps ?? 0,
          logEverySteps: options.logEverySteps ?? LOG_EVERY_STEPS,
          keepCheckpoints: options.keepCheckpoints ?? KEEP_CHECKPOINTS,
          checkpointSeconds: options.checkpointSeconds ?? CHECKPOINT_SECONDS,
          maxSeconds: options.maxSeconds ?? 0,
        },
      };
    case 'predict': {
      const evaluated = listEvaluationSplits(dataset);
      return {
        $case: 'predict',
        value: {
          splits: options.splits ?? evaluated,
          generation: generation && specGeneration(generation),
          atStep: options.atStep ?? 0,
        },
      };
    }
  }
}

/** Leaves float32 unset, so that such jobs keep the ids from before there was a choice. */
function specPrecision(precision: Trial['precision']): Precision {
  return precision === undefined ? Precision.PRECISION_UNSPECIFIED : PRECISIONS[precision].proto;
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
