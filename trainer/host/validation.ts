/**
 * What is invalid in a SubmitJobRequest, field by field (INVALID_ARGUMENT), without looking beyond
 * the request.
 */
import {
  Activation,
  Adapter,
  AdapterInit,
  AdapterNorm,
  AttentionModule,
  FfnModule,
  Generation,
  LearningRateSchedule,
  Precision,
  PrefixUse,
  TaskKind,
  Train,
  Unfrozen,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { SubmitJobRequest } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { isNamed } from '../../common/vocabulary/tensor-names';
import {
  bottlenecks,
  findBottleneck,
  hasBottleneck,
  hasLora,
  hasMatrices,
  hasVirtualTokens,
  listModules,
} from './adapter-parts';
import { isUnderRoot } from './placed-backbone';
import { checkPrune } from './validate-prune';
import { quoted, Violations, type Violation } from './violations';
import type { WholeSpec, WholeTrial } from './whole-spec';

/** The num_labels that each kind of task needs. */
const LABELS: Partial<Record<TaskKind, { fits(labels: number): boolean; right: string }>> = {
  [TaskKind.TASK_KIND_CLASSIFICATION]: {
    fits: (labels) => labels >= 2,
    right: 'at least 2, as classification needs',
  },
  [TaskKind.TASK_KIND_REGRESSION]: {
    fits: (labels) => labels === 1,
    right: '1, as regression needs',
  },
  [TaskKind.TASK_KIND_QUESTION_ANSWERING]: {
    fits: (labels) => labels === 2,
    right: '2, as question answering needs: start and end',
  },
  [TaskKind.TASK_KIND_SUMMARIZATION]: {
    fits: (labels) => labels === 0,
    right: '0, as summarization needs',
  },
};

/** What is wrong with the job's id and digest, which are all that is needed to find a job. */
export function invalidIdentity({ jobId, specDigest }: SubmitJobRequest): Violation[] {
  const found = new Violations();
  if (!/^[a-z0-9-]{1,128}$/.test(jobId))
    found.add('job_id', `${quoted(jobId)} is not 1 to 128 characters of a-z, 0-9 and '-'`);
  if (!/^[0-9a-f]{64}$/.test(specDigest))
    found.add('spec_digest', `${quoted(specDigest)} is not a SHA-256 in 64 hexadecimal digits`);
  return found.all;
}

/** Everything in the specification that is invalid in itself. */
export function invalidFields(spec: WholeSpec): Violation[] {
  const found = new Violations();
  checkInputs(found, spec);
  // Unset means FLOAT32.
  if (spec.precision !== Precision.PRECISION_UNSPECIFIED)
    found.isOneOf('spec.precision', spec.precision, Precision);
  if (spec.trials.length === 0) found.add('spec.trials', 'is empty; a job has at least one trial');
  const seen = new Map<string, number>();
  for (const [index, trial] of spec.trials.entries()) {
    const at = `spec.trials[${index}]`;
    if (!/^[a-z0-9-]{1,64}$/.test(trial.trialId)) {
      found.add(
        `${at}.trial_id`,
        `${quoted(trial.trialId)} is not 1 to 64 characters of a-z, 0-9 and '-'`,
      );
    }
    checkAdapter(found, `${at}.adapter`, trial.adapter);
    checkPrune(found, `${at}.prune`, trial, spec.dataset.taskKind);
    checkTrain(found, `${at}.train`, trial.train);
    checkCompany(found, at, trial, spec);
    const before = seen.get(trial.trialId);
    if (before !== undefined) {
      found.add(
        `${at}.trial_id`,
        `${quoted(trial.trialId)} is also the id of spec.trials[${before}]; ` +
          'ids are unique in a job',
      );
    } else {
      seen.set(trial.trialId, index);
    }
  }
  checkWork(found, spec);
  return found.all;
}

function checkInputs(found: Violations, { backbone, dataset }: WholeSpec): void {
  const isHubId = /^[A-Za-z0-9][A-Za-z0-9_.-]*(\/[A-Za-z0-9][A-Za-z0-9_.-]*)?$/.test(backbone.path);
  if (backbone.path.startsWith('backbones/') && !isUnderRoot(backbone)) {
    found.add(
      'spec.backbone.path',
      `${quoted(backbone.path)} is not 'backbones/<digest>' with the digest of ` +
        'spec.backbone.digest',
    );
  } else if (!backbone.path.startsWith('/') && !isHubId) {
    found.add(
      'spec.backbone.path',
      `${quoted(backbone.path)} is neither an absolute directory nor a hub id`,
    );
  }
  const isDigest = (text: string): boolean => /^[0-9a-f]{16,64}$/.test(text);
  if (!isDigest(backbone.digest))
    found.add('spec.backbone.digest', `${quoted(backbone.digest)} is not a hexadecimal digest`);
  if (!isDigest(dataset.digest))
    found.add('spec.dataset.digest', `${quoted(dataset.digest)} is not a hexadecimal digest`);
  if (dataset.name !== `datasets/${dataset.digest}`) {
    found.add(
      'spec.dataset.name',
      `${quoted(dataset.name)} is not 'datasets/<digest>' with the digest of spec.dataset.digest`,
    );
  }
  found.isOneOf('spec.dataset.task_kind', dataset.taskKind, TaskKind);
  const labels = LABELS[dataset.taskKind];
  if (labels)
    found.require(
      labels.fits(dataset.numLabels),
      'spec.dataset.num_labels',
      dataset.numLabels,
      labels.right,
    );
}

/** Checks a trial against its job's other trials and its task. */
function checkCompany(
  found: Violations,
  at: string,
  { adapter }: WholeTrial,
  { trials, dataset }: WholeSpec,
): void {
  if (adapter.unfrozenTensors.length > 0 && trials.length > 1) {
    const alone = "a trial that trains the backbone's own tensors is the only one of its job";
    found.add(
      `${at}.adapter.unfrozen_tensors`,
      `is set in a job of ${trials.length} trials; ${alone}`,
    );
  }
  if (adapter.unfrozen === Unfrozen.UNFROZEN_ALL && trials.length > 1) {
    const alone = 'full fine-tuning is the only trial of its job';
    found.add(`${at}.adapter.unfrozen`, `is ALL in a job of ${trials.length} trials; ${alone}`);
  }
  const trainsNothing =
    listModules(adapter).length === 0 &&
    adapter.unfrozen === Unfrozen.UNFROZEN_NONE &&
    adapter.unfrozenTensors.length === 0;
  if (dataset.taskKind === TaskKind.TASK_KIND_SUMMARIZATION && trainsNothing) {
    const why = 'summarization has no head, so that nothing would be trained';
    found.add(`${at}.adapter.attention`, `is NONE, like ffn and unfrozen; ${why}`);
  }
}

function checkAdapter(found: Violations, at: string, adapter: Adapter): void {
  found.isOneOf(`${at}.attention`, adapter.attention, AttentionModule);
  found.isOneOf(`${at}.ffn`, adapter.ffn, FfnModule);
  for (const site of listModules(adapter))
    found.atLeastOne(`${at}.${site}_bottleneck`, findBottleneck(adapter, site));
  if (hasBottleneck(adapter)) {
    found.positive(`${at}.scale`, adapter.scale);
    found.isOneOf(`${at}.norm`, adapter.norm, AdapterNorm);
    found.isOneOf(`${at}.activation`, adapter.activation, Activation);
  }
  if (hasLora(adapter)) found.positive(`${at}.lora_alpha`, adapter.loraAlpha);
  if (hasMatrices(adapter)) found.isOneOf(`${at}.init`, adapter.init, AdapterInit);
  const drawnByInit = hasMatrices(adapter) && adapter.init === AdapterInit.ADAPTER_INIT_GAUSSIAN;
  if (hasVirtualTokens(adapter) || drawnByInit) found.positive(`${at}.init_std`, adapter.initStd);
  found.isOneOf(`${at}.unfrozen`, adapter.unfrozen, Unfrozen);
  checkParts(found, at, adapter);
  if (adapter.unfrozen !== Unfrozen.UNFROZEN_NONE && listModules(adapter).length > 0) {
    found.add(
      `${at}.unfrozen`,
      'is not NONE beside a module; parts of the backbone are trained where attention and ffn ' +
        'are NONE',
    );
  }
}

/** Fields that need a module of some kind, or other fields. */
function checkParts(found: Violations, at: string, adapter: Adapter): void {
  if (adapter.attentionScale < 0)
    found.add(`${at}.attention_scale`, `${adapter.attentionScale} is negative`);
  if (adapter.learnedScale && !bottlenecks(adapter).includes('ffn'))
    found.add(`${at}.learned_scale`, 'is true, and there is no bottleneck at ffn');
  const isRead = adapter.prefixUse !== PrefixUse.PREFIX_USE_UNSPECIFIED;
  if (isRead && adapter.attention !== AttentionModule.ATTENTION_MODULE_PREFIX)
    found.add(`${at}.prefix_use`, 'is set, and attention is not PREFIX');
  const keys = ['key.weight', 'value.weight'].filter((name) =>
    isNamed(`layers.0.${name}`, adapter.unfrozenTensors),
  );
  if (keys.length === 1) {
    found.add(
      `${at}.unfrozen_tensors`,
      `names ${keys[0]} alone; the weights of key and value are one product, and are trained ` +
        'together or not at all',
    );
  }
  if (adapter.unfrozen === Unfrozen.UNFROZEN_BIASES && adapter.unfrozenTensors.length > 0) {
    const right = 'it is NONE, and those are named';
    found.add(`${at}.unfrozen`, `is BIASES beside unfrozen_tensors; ${right}`);
  }
}

function checkTrain(found: Violations, at: string, train: Train): void {
  found.atLeastOne(`${at}.batch_size`, train.batchSize);
  found.atLeastOne(`${at}.total_steps`, train.totalSteps);
  found.positive(`${at}.learning_rate`, train.learningRate);
  found.notNegative(`${at}.weight_decay`, train.weightDecay);
  found.fraction(`${at}.warmup`, train.warmup);
  found.isOneOf(`${at}.schedule`, train.schedule, LearningRateSchedule);
  found.notNegative(`${at}.max_grad_norm`, train.maxGradNorm);
  found.fraction(`${at}.adam_beta1`, train.adamBeta1);
  found.fraction(`${at}.adam_beta2`, train.adamBeta2);
  found.positive(`${at}.adam_epsilon`, train.adamEpsilon);
  found.fraction(`${at}.dropout`, train.dropout);
  found.fraction(`${at}.attention_dropout`, train.attentionDropout);
  found.fraction(`${at}.label_smoothing`, train.labelSmoothing);
}

function checkWork(found: Violations, { work, dataset, trials }: WholeSpec): void {
  switch (work?.$case) {
    case 'prune':
      return;
    case 'train':
      found.atLeastOne('spec.train.log_every_steps', work.value.logEverySteps);
      found.atLeastOne('spec.train.keep_checkpoints', work.value.keepCheckpoints);
      found.notNegative('spec.train.checkpoint_seconds', work.value.checkpointSeconds);
      found.notNegative('spec.train.max_seconds', work.value.maxSeconds);
      return;
    case 'predict': {
      const { splits, generation, atStep } = work.value;
      if (splits.length === 0)
        found.add('spec.predict.splits', 'is empty; name at least one split');
      for (const [index, split] of splits.entries()) {
        if (/^[a-z0-9_-]{1,64}$/.test(split)) continue;
        found.add(
          `spec.predict.splits[${index}]`,
          `${quoted(split)} is not 1 to 64 characters of a-z, 0-9, '_' and '-'`,
        );
      }
      for (const [index, { train }] of trials.entries()) {
        if (atStep === 0 || atStep < train.totalSteps) continue;
        found.add(
          'spec.predict.at_step',
          `${atStep} is not below ${train.totalSteps}, the total_steps of spec.trials[${index}]; ` +
            "the last step's predictions are those without at_step",
        );
      }
      if (dataset.taskKind === TaskKind.TASK_KIND_SUMMARIZATION)
        checkGeneration(found, generation ?? Generation.create());
      return;
    }
    case undefined:
      found.add('spec', 'has no work; set one of prune, train and predict');
  }
}

function checkGeneration(
  found: Violations,
  { beams, minLength, maxLength, lengthPenalty }: Generation,
): void {
  const at = 'spec.predict.generation';
  found.atLeastOne(`${at}.beams`, beams);
  found.atLeastOne(`${at}.max_length`, maxLength);
  if (maxLength >= 1 && minLength > maxLength)
    found.add(`${at}.min_length`, `${minLength} is more than max_length, ${maxLength}`);
  found.require(Number.isFinite(lengthPenalty), `${at}.length_penalty`, lengthPenalty, 'a number');
}
