/**
 * What a valid specification needs but this trainer cannot do or does not have on disk, field by
 * field (FAILED_PRECONDITION).
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { listLaterFields } from '../../common/vocabulary/later-fields';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import {
  AdapterNorm,
  AttentionModule,
  FfnModule,
  MaskRules,
  MaskStructure,
  Pruner,
  Precision,
  TaskKind,
  Unfrozen,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { backboneMisfits } from './backbone-misfits';
import { EngineFailure } from './engine';
import { HANDLED_SETTINGS } from './handled-settings';
import { placeBackbone } from './placed-backbone';
import { readPrecision } from './precision';
import { nameIn, type Enumeration, type Violation } from './violations';
import type { WholeSpec, WholeTrial } from './whole-spec';

/** What a job's trials must have on disk, and which work writes it. */
const NEEDED = {
  prune: undefined,
  train: { file: 'masks.safetensors', writtenBy: 'prune' },
  predict: { file: 'adapter/adapter_model.safetensors', writtenBy: 'train' },
} as const;

/** Where bottlenecks normalize with a trainer that does not list it. */
const FIRST_NORMS = [
  AdapterNorm.ADAPTER_NORM_NONE,
  AdapterNorm.ADAPTER_NORM_BEFORE,
  AdapterNorm.ADAPTER_NORM_AFTER,
];

/**
 * Everything that is missing here, for a specification whose fields are all valid. root: the
 * artifact root.
 */
export function unmetPreconditions(
  spec: WholeSpec,
  capabilities: Capabilities,
  root: string,
): Violation[] {
  const { trials, dataset } = spec;
  const found: Violation[] = [];
  if (trials.length > capabilities.maxCohort) {
    const most = capabilities.maxCohort;
    const description = `has ${trials.length} trials; this trainer takes at most ${most} in a job`;
    found.push({ field: 'spec.trials', description });
  }
  found.push(
    ...unable('spec.dataset.task_kind', dataset.taskKind, capabilities.taskKinds, TaskKind),
  );
  found.push(...unable('spec.precision', readPrecision(spec), capabilities.precisions, Precision));
  found.push(...backboneViolations(spec, capabilities, root), ...missingSplits(spec, root));
  const atStep = spec.work?.$case === 'predict' ? spec.work.value.atStep : 0;
  if (atStep > 0 && !capabilities.fields.includes('predict.at_step')) {
    const description = 'is set; this trainer does not handle the field';
    found.push({ field: 'spec.predict.at_step', description });
  }
  for (const [index, trial] of trials.entries()) {
    const at = `spec.trials[${index}]`;
    found.push(...unableForTrial(at, trial, capabilities));
    const needed = NEEDED[spec.work!.$case];
    if (!needed) continue;
    const place = atStep > 0 ? `rungs/step-${atStep}/` : '';
    const file = `trials/${trial.trialId}/${place}${needed.file}`;
    if (existsSync(join(root, file))) continue;
    const work = atStep > 0 ? `train with until_step ${atStep}` : needed.writtenBy;
    const description = `${file} does not exist; a job that does ${work} writes it`;
    found.push({ field: at, description });
  }
  return found;
}

function backboneViolations(
  spec: WholeSpec,
  capabilities: Capabilities,
  root: string,
): Violation[] {
  let placed: WholeSpec;
  try {
    placed = placeBackbone(root, spec);
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error;
    return [{ field: 'spec.backbone.path', description: error.message }];
  }
  return backboneMisfits(placed, capabilities);
}

function unableForTrial(at: string, trial: WholeTrial, capabilities: Capabilities): Violation[] {
  const { adapter, prune } = trial;
  const found = [
    ...unable(
      `${at}.adapter.attention`,
      adapter.attention,
      capabilities.attentionModules,
      AttentionModule,
    ),
    ...unable(`${at}.adapter.ffn`, adapter.ffn, capabilities.ffnModules, FfnModule),
    ...unable(`${at}.adapter.unfrozen`, adapter.unfrozen, capabilities.unfrozen, Unfrozen),
    ...unable(`${at}.prune.pruner`, prune.pruner, capabilities.pruners, Pruner),
  ];
  const norms: [string, AdapterNorm][] = [
    ['norm', adapter.norm],
    ['attention_norm', adapter.attentionNorm],
  ];
  const places = capabilities.adapterNorms.length > 0 ? capabilities.adapterNorms : FIRST_NORMS;
  for (const [field, norm] of norms) {
    if (norm !== AdapterNorm.ADAPTER_NORM_UNSPECIFIED && AdapterNorm[norm] !== undefined)
      found.push(...unable(`${at}.adapter.${field}`, norm, places, AdapterNorm));
  }
  for (const { field, enumeration, supported, read } of HANDLED_SETTINGS) {
    const value = read(trial);
    // One that the contract does not have is wrong in itself, wherever it counts.
    if (value > 0 && enumeration[value] !== undefined)
      found.push(...unable(`${at}.${field}`, value, supported, enumeration));
  }
  for (const path of listLaterFields(trial)) {
    if (capabilities.fields.includes(path)) continue;
    const description = 'is set; this trainer does not handle the field';
    found.push({ field: `${at}.${path}`, description });
  }
  if (prune.pruner === Pruner.PRUNER_NONE) return found;
  found.push(
    ...unable(`${at}.prune.structure`, prune.structure, capabilities.maskStructures, MaskStructure),
  );
  found.push(...unable(`${at}.prune.rules`, prune.rules, capabilities.maskRules, MaskRules));
  if (prune.everySteps > 0 && !capabilities.prunesDuringTraining) {
    const description = `${prune.everySteps} is not 0; this trainer does not prune during training`;
    found.push({ field: `${at}.prune.every_steps`, description });
  }
  return found;
}

function unable(
  field: string,
  value: number,
  supported: readonly number[],
  enumeration: Enumeration,
): Violation[] {
  if (supported.includes(value)) return [];
  const names = supported.map((each) => nameIn(enumeration, each)).join(', ');
  return [
    {
      field,
      description:
        `${nameIn(enumeration, value)} is not supported by this trainer; ` + `it supports ${names}`,
    },
  ];
}

function missingSplits({ dataset: { name }, work }: WholeSpec, root: string): Violation[] {
  const has = (file: string): boolean => existsSync(join(root, name, file));
  if (!has('dataset.json')) {
    return [
      {
        field: 'spec.dataset.name',
        description: `${name}/dataset.json does not exist under the trainer's artifact root`,
      },
    ];
  }
  if (work?.$case !== 'predict') {
    return has('train.safetensors')
      ? []
      : [{ field: 'spec.dataset.name', description: `${name}/train.safetensors does not exist` }];
  }
  return work.value.splits.flatMap((split, index) =>
    has(`${split}.safetensors`)
      ? []
      : [
          {
            field: `spec.predict.splits[${index}]`,
            description: `${name}/${split}.safetensors does not exist`,
          },
        ],
  );
}
