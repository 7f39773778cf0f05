/**
 * What is wrong in itself with a SubmitJobRequest, field by field (INVALID_ARGUMENT): needs nothing
 * but the request.
 */
import {
  Activation,
  Adapter,
  AdapterInit,
  AdapterNorm,
  AttentionModule,
  Backbone,
  Dataset,
  FfnModule,
  Generation,
  JobSpec,
  LearningRateSchedule,
  MaskControl,
  MaskRules,
  MaskStructure,
  Precision,
  Prune,
  Pruner,
  PruneSchedule,
  PruneScope,
  TaskKind,
  Train,
  Unfrozen,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { SubmitJobRequest } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import {
  bottleneckOf,
  hasBackbone,
  hasBottleneck,
  hasLora,
  hasMatrices,
  hasVirtualTokens,
  modulesOf,
} from './adapter-parts';

/** A field's path in the request, and what is wrong with it and would be right. */
export interface Violation {
  field: string;
  description: string;
}

/** Values by their names, as generated code has an enumeration. */
export type Enumeration = Readonly<Record<string, string | number>>;

/**
 * A specification in which every message is set, as proto3 reads it: one that was left out has
 * zeros.
 */
export type WholeSpec = Pick<JobSpec, 'work' | 'precision'> & {
  backbone: Backbone;
  dataset: Dataset;
  trials: WholeTrial[];
};
export type WholeTrial = Trial & { adapter: Adapter; prune: Prune; train: Train };

/** Of num_labels, what each kind of task needs. */
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

export function wholeSpec(spec: JobSpec | undefined): WholeSpec {
  const { backbone, dataset, trials, work, precision } = spec ?? JobSpec.create();
  return {
    backbone: backbone ?? Backbone.create(),
    dataset: dataset ?? Dataset.create(),
    trials: trials.map(({ adapter, prune, train, ...rest }) => ({
      ...rest,
      adapter: adapter ?? Adapter.create(),
      prune: prune ?? Prune.create(),
      train: train ?? Train.create(),
    })),
    work,
    precision,
  };
}

/** What is wrong with the job's id and digest, which is all that finding a job needs. */
export function invalidIdentity({ jobId, specDigest }: SubmitJobRequest): Violation[] {
  const found = new Violations();
  if (!/^[a-z0-9-]{1,128}$/.test(jobId))
    found.add('job_id', `${quoted(jobId)} is not 1 to 128 characters of a-z, 0-9 and '-'`);
  if (!/^[0-9a-f]{64}$/.test(specDigest))
    found.add('spec_digest', `${quoted(specDigest)} is not a SHA-256 in 64 hexadecimal digits`);
  return found.all;
}

/** Everything in the specification that is wrong in itself. */
export function invalidFields(spec: WholeSpec): Violation[] {
  const found = new Violations();
  checkInputs(found, spec);
  // Not set is FLOAT32.
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
    checkPrune(found, `${at}.prune`, trial);
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

export const quoted = (text: string): string => `'${text}'`;

export const nameIn = (enumeration: Enumeration, value: number): string =>
  String(enumeration[value] ?? value);

class Violations {
  readonly all: Violation[] = [];

  add(field: string, description: string): void {
    this.all.push({ field, description });
  }

  require(holds: boolean, field: string, value: number, right: string): void {
    if (!holds) this.add(field, `${value} is not ${right}`);
  }

  atLeastOne(field: string, value: number): void {
    this.require(value >= 1, field, value, 'at least 1');
  }

  positive(field: string, value: number): void {
    this.require(Number.isFinite(value) && value > 0, field, value, 'a number above 0');
  }

  notNegative(field: string, value: number): void {
    this.require(Number.isFinite(value) && value >= 0, field, value, 'a number of at least 0');
  }

  fraction(field: string, value: number): void {
    this.require(value >= 0 && value < 1, field, value, 'in [0, 1)');
  }

  isOneOf(field: string, value: number, enumeration: Enumeration): void {
    const allowed = Object.keys(enumeration).filter((name) => Number(enumeration[name]) > 0);
    if (value === 0) this.add(field, `is not set; it is one of ${allowed.join(', ')}`);
    else if (!allowed.some((name) => enumeration[name] === value))
      this.add(field, `${value} is not one of ${allowed.join(', ')}`);
  }
}

function checkInputs(found: Violations, { backbone, dataset }: WholeSpec): void {
  const isHubId = /^[A-Za-z0-9][A-Za-z0-9_.-]*(\/[A-Za-z0-9][A-Za-z0-9_.-]*)?$/.test(backbone.path);
  if (!backbone.path.startsWith('/') && !isHubId) {
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

/** What a trial may not be beside the others of its job, or for its task. */
function checkCompany(
  found: Violations,
  at: string,
  { adapter }: WholeTrial,
  { trials, dataset }: WholeSpec,
): void {
  if (hasBackbone(adapter) && trials.length > 1) {
    const alone = 'full fine-tuning is the only trial of its job';
    found.add(`${at}.adapter.unfrozen`, `is ALL in a job of ${trials.length} trials; ${alone}`);
  }
  const trainsNothing =
    modulesOf(adapter).length === 0 && adapter.unfrozen === Unfrozen.UNFROZEN_NONE;
  if (dataset.taskKind === TaskKind.TASK_KIND_SUMMARIZATION && trainsNothing) {
    const why = 'summarization has no head, so that nothing would be trained';
    found.add(`${at}.adapter.attention`, `is NONE, like ffn and unfrozen; ${why}`);
  }
}

function checkAdapter(found: Violations, at: string, adapter: Adapter): void {
  found.isOneOf(`${at}.attention`, adapter.attention, AttentionModule);
  found.isOneOf(`${at}.ffn`, adapter.ffn, FfnModule);
  for (const site of modulesOf(adapter))
    found.atLeastOne(`${at}.${site}_bottleneck`, bottleneckOf(adapter, site));
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
  if (adapter.unfrozen !== Unfrozen.UNFROZEN_NONE && modulesOf(adapter).length > 0) {
    found.add(
      `${at}.unfrozen`,
      'is not NONE beside a module; parts of the backbone are trained where attention and ffn ' +
        'are NONE',
    );
  }
}

function checkPrune(found: Violations, at: string, trial: WholeTrial): void {
  const { prune, adapter } = trial;
  const pruner = nameIn(Pruner, prune.pruner);
  found.isOneOf(`${at}.pruner`, prune.pruner, Pruner);
  found.fraction(`${at}.sparsity`, prune.sparsity);
  if (prune.pruner === Pruner.PRUNER_NONE) {
    found.require(
      prune.sparsity === 0,
      `${at}.sparsity`,
      prune.sparsity,
      '0, as the pruner NONE needs',
    );
    return;
  }
  if (!hasMatrices(adapter))
    found.add(`${at}.pruner`, `${pruner} has no matrix to prune in this adapter; it is NONE`);
  found.isOneOf(`${at}.scope`, prune.scope, PruneScope);
  found.isOneOf(`${at}.control`, prune.control, MaskControl);
  found.isOneOf(`${at}.structure`, prune.structure, MaskStructure);
  found.isOneOf(`${at}.rules`, prune.rules, MaskRules);
  if (prune.pruner === Pruner.PRUNER_ER && prune.scope === PruneScope.PRUNE_SCOPE_LOCAL) {
    found.add(`${at}.scope`, "is LOCAL; ER sets each matrix's density itself: it is GLOBAL");
  }
  if (prune.pruner === Pruner.PRUNER_SNIP || prune.pruner === Pruner.PRUNER_GRASP) {
    found.atLeastOne(`${at}.scoring_rows`, prune.scoringRows);
  }
  if (prune.pruner === Pruner.PRUNER_GRASP) found.positive(`${at}.temperature`, prune.temperature);
  found.atLeastOne(`${at}.rounds`, prune.rounds);
  if (prune.rounds > 1) {
    found.isOneOf(`${at}.schedule`, prune.schedule, PruneSchedule);
    // During training MAG's weights differ from round to round, and RAND's density falls like the
    // others'. Official rules score anew.
    const scoresAnew = prune.everySteps > 0 || prune.rules === MaskRules.MASK_RULES_OFFICIAL;
    const same = scoresAnew
      ? [Pruner.PRUNER_ER]
      : [Pruner.PRUNER_RAND, Pruner.PRUNER_MAG, Pruner.PRUNER_ER];
    const right = `1; the scores of ${pruner} are the same in every round`;
    found.require(!same.includes(prune.pruner), `${at}.rounds`, prune.rounds, right);
  }
  checkPruneDuringTraining(found, at, trial);
  const isStructured = [
    MaskStructure.MASK_STRUCTURE_N_M,
    MaskStructure.MASK_STRUCTURE_UNITS,
  ].includes(prune.structure);
  const structure = nameIn(MaskStructure, prune.structure);
  if (prune.structure === MaskStructure.MASK_STRUCTURE_N_M) checkGroups(found, at, prune);
  if (isStructured && prune.pruner === Pruner.PRUNER_ER)
    found.add(`${at}.structure`, `${structure} is not WEIGHTS, as ER needs`);
  if (prune.rules !== MaskRules.MASK_RULES_OFFICIAL) return;
  if (isStructured)
    found.add(`${at}.structure`, `${structure} is not WEIGHTS, as OFFICIAL rules need`);
  checkOfficialRules(found, at, trial);
}

function checkGroups(
  found: Violations,
  at: string,
  { groupKept, groupSize, sparsity, scope, rounds }: Prune,
): void {
  if (groupSize < 2) {
    found.add(`${at}.group_size`, `${groupSize} is not at least 2`);
  } else if (groupKept < 1 || groupKept >= groupSize) {
    found.add(
      `${at}.group_kept`,
      `${groupKept} is not in [1, ${groupSize}), ${groupSize} being group_size`,
    );
  } else if (Math.abs(sparsity - (1 - groupKept / groupSize)) > 1e-9) {
    const right = 1 - groupKept / groupSize;
    found.add(
      `${at}.sparsity`,
      `${sparsity} is not ${right}, which is what ${groupKept} of ${groupSize} leaves: ` +
        `1 − ${groupKept} / ${groupSize}`,
    );
  }
  if (scope === PruneScope.PRUNE_SCOPE_GLOBAL) {
    found.add(`${at}.scope`, 'is GLOBAL; the structure N_M compares within groups: it is LOCAL');
  }
  if (rounds > 1) found.add(`${at}.rounds`, `${rounds} is not 1, as the structure N_M needs`);
}

function checkOfficialRules(found: Violations, at: string, { prune, adapter }: WholeTrial): void {
  if (prune.pruner === Pruner.PRUNER_ER) {
    found.add(
      `${at}.pruner`,
      'PRUNER_ER is not in the published code, whose rules are asked for; with ER rules is EXACT',
    );
  }
  if (hasLora(adapter))
    found.add(`${at}.rules`, 'is OFFICIAL; for an adapter with LORA it is EXACT');
  if (prune.pruner === Pruner.PRUNER_GRASP && prune.temperature !== 1) {
    found.add(
      `${at}.temperature`,
      `${prune.temperature} is not 1, as OFFICIAL rules need: the published code does not use it`,
    );
  }
  if (prune.pruner === Pruner.PRUNER_SYNFLOW && adapter.norm === AdapterNorm.ADAPTER_NORM_AFTER) {
    const why =
      "a norm's outputs sum to a constant, so that the scores of SYNFLOW are rounding errors";
    found.add(
      `${at}.rules`,
      `is OFFICIAL where adapter.norm is AFTER: ${why}; take EXACT rules, or another norm`,
    );
  }
}

function checkPruneDuringTraining(
  found: Violations,
  at: string,
  { prune, train }: WholeTrial,
): void {
  const { everySteps, beginStep, rounds } = prune;
  if (everySteps === 0) {
    found.require(
      beginStep === 0,
      `${at}.begin_step`,
      beginStep,
      '0, as it is unless every_steps is set',
    );
    return;
  }
  const during = `where every_steps, ${everySteps} here, asks for pruning during training`;
  if (prune.pruner === Pruner.PRUNER_ER)
    found.add(`${at}.every_steps`, `${everySteps} is not 0; ER prunes at initialization only`);
  if (prune.control > MaskControl.MASK_CONTROL_NONE) {
    found.add(
      `${at}.control`,
      `${nameIn(MaskControl, prune.control)} is not NONE, as it is ${during}`,
    );
  }
  if (prune.reinitialize) found.add(`${at}.reinitialize`, `is not false, as it is ${during}`);
  if (prune.rules === MaskRules.MASK_RULES_OFFICIAL)
    found.add(`${at}.rules`, `is not EXACT, as it is ${during}`);
  const last = beginStep + (Math.max(rounds, 1) - 1) * everySteps;
  if (train.totalSteps > 0 && train.totalSteps <= last) {
    const sum =
      'begin_step + (rounds − 1) · every_steps = ' +
      `${beginStep} + (${rounds} − 1) · ${everySteps} = ${last}`;
    found.add(
      `${at}.every_steps`,
      `the last round is too late: ${sum} is not less than train.total_steps, ${train.totalSteps}`,
    );
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

function checkWork(found: Violations, { work, dataset }: WholeSpec): void {
  switch (work?.$case) {
    case 'prune':
      return;
    case 'train':
      found.atLeastOne('spec.train.log_every_steps', work.value.logEverySteps);
      found.atLeastOne('spec.train.keep_checkpoints', work.value.keepCheckpoints);
      return;
    case 'predict': {
      const { splits, generation } = work.value;
      if (splits.length === 0)
        found.add('spec.predict.splits', 'is empty; name at least one split');
      for (const [index, split] of splits.entries()) {
        if (/^[a-z0-9_-]{1,64}$/.test(split)) continue;
        found.add(
          `spec.predict.splits[${index}]`,
          `${quoted(split)} is not 1 to 64 characters of a-z, 0-9, '_' and '-'`,
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
