/** Whether a trainer can carry out a plan. */
import { ADAPTER_NORMS } from '../../common/vocabulary/adapter-norms';
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import { MASK_RULES } from '../../common/vocabulary/mask-rules';
import { MASK_STRUCTURES } from '../../common/vocabulary/mask-structures';
import { PRECISIONS, type PrecisionName } from '../../common/vocabulary/precisions';
import { PRUNERS } from '../../common/vocabulary/pruners';
import { UNFROZEN } from '../../common/vocabulary/unfrozen';
import { filterWords, type Vocabulary } from '../../common/vocabulary/vocabulary';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { DEFAULT_PRECISION } from '../config/defaults';
import { nameEnvironment } from '../sweep/environments';
import type { Plan } from '../sweep/types';
import { CONTRACT_KINDS } from '../tasks/registry';
import { findNeeds, type PlanNeeds } from './plan-needs';

const PROTOCOL_VERSION = 1;
/** The norms of the contract's first release. */
const FIRST_ADAPTER_NORMS = ['none', 'before', 'after'] as const;

/** How many trials the trainer likes to have in a job. */
export const preferredCohort = ({
  preferredCohort: preferred,
  maxCohort,
}: Pick<Capabilities, 'preferredCohort' | 'maxCohort'>): number => preferred || maxCohort;

/** What the trainer's results are made by, as in reports: `torch on cpu`. */
export function nameMaker({
  framework,
  devices,
}: Pick<Capabilities, 'framework' | 'devices'>): string {
  const { kind: device, name } = devices[0]!;
  return nameEnvironment({ framework, device, device_name: name });
}

/**
 * Everything in the plan that the trainer cannot do, one sentence each; empty if it can do
 * everything.
 */
export function checkPlan(plan: Plan, capabilities: Capabilities): string[] {
  if (capabilities.protocolVersion !== PROTOCOL_VERSION) {
    return [
      'the trainer speaks version ' +
        `${capabilities.protocolVersion} of the contract, not ${PROTOCOL_VERSION}`,
    ];
  }
  const needs = findNeeds(plan);
  return [
    ...checkBackbone(plan, capabilities),
    ...checkWords(
      'attention module',
      ATTENTION_MODULES,
      capabilities.attentionModules,
      needs.attentionModules,
    ),
    ...checkWords('feed-forward module', FFN_MODULES, capabilities.ffnModules, needs.ffnModules),
    ...checkWords('part of the backbone', UNFROZEN, capabilities.unfrozen, needs.unfrozen),
    ...checkWords('pruner', PRUNERS, capabilities.pruners, needs.pruners),
    ...checkWords(
      'mask structure',
      MASK_STRUCTURES,
      capabilities.maskStructures,
      needs.maskStructures,
    ),
    ...checkWords('mask rules', MASK_RULES, capabilities.maskRules, needs.maskRules),
    ...(!capabilities.prunesDuringTraining && needs.prunesDuringTraining
      ? ['the trainer does not prune during training, as `progressive` needs']
      : []),
    ...checkLaterFields(needs, capabilities),
    ...checkPrecisions(needs, capabilities),
    ...checkWords(
      'task kind',
      CONTRACT_KINDS,
      capabilities.taskKinds,
      new Set(plan.datasets.map(({ kind }) => kind)),
    ),
  ];
}

function checkBackbone({ backbone }: Plan, capabilities: Capabilities): string[] {
  const lacking: string[] = [];
  if (!capabilities.architectures.includes(backbone.model_type)) {
    const supported = capabilities.architectures.join(', ');
    lacking.push(
      'backbone ' +
        `${backbone.name} is of type ${backbone.model_type}; the trainer supports ${supported}`,
    );
  }
  if (!backbone.path.startsWith('/') && !capabilities.hubDownload) {
    lacking.push(`backbone ${backbone.name} is not a directory, and the trainer does not download`);
  }
  return lacking;
}

/** Trainers that list no norms are older than the list. */
function checkLaterFields(
  { laterFields, norms }: PlanNeeds,
  { fields, adapterNorms }: Capabilities,
): string[] {
  const first = FIRST_ADAPTER_NORMS.map((name) => ADAPTER_NORMS[name].proto);
  return [
    ...[...laterFields]
      .filter((field) => !fields.includes(field))
      .map((field) => `the trainer does not handle ${field}`),
    ...checkWords('norm', ADAPTER_NORMS, adapterNorms.length > 0 ? adapterNorms : first, norms),
  ];
}

function checkPrecisions({ precisions }: PlanNeeds, capabilities: Capabilities): string[] {
  const able = listPrecisions(capabilities);
  return [...precisions]
    .filter((precision) => !able.includes(precision))
    .map((precision) => `precision ${precision} is not among the trainer's: ${able.join(', ')}`);
}

/** The trainer's precisions, always with float32: trainers older than this list have it, too. */
function listPrecisions({ precisions }: Pick<Capabilities, 'precisions'>): PrecisionName[] {
  const { proto: float32 } = PRECISIONS.float32;
  return filterWords(PRECISIONS, ({ proto }) => proto === float32 || precisions.includes(proto));
}

/** The precision of jobs if nobody chooses one. */
export interface DefaultPrecision {
  precision: PrecisionName;
  /** The device's usual default if the trainer does not support it, else null. */
  unlisted: PrecisionName | null;
}

export function defaultPrecision(
  capabilities: Pick<Capabilities, 'devices' | 'precisions'>,
): DefaultPrecision {
  const onGpu = capabilities.devices.some(({ kind }) => kind === 'cuda');
  const usual = DEFAULT_PRECISION[onGpu ? 'cuda' : 'cpu'];
  return listPrecisions(capabilities).includes(usual)
    ? { precision: usual, unlisted: null }
    : { precision: 'float32', unlisted: usual };
}

/** The plan's words of one kind that the trainer does not list, with those that it does. */
function checkWords<Word extends string>(
  sort: string,
  all: Vocabulary<Word, { readonly proto: number }>,
  supported: readonly number[],
  used: Set<Word>,
): string[] {
  const known = filterWords(all, ({ proto }) => supported.includes(proto));
  return [...used]
    .filter((word) => !known.includes(word))
    .map((word) => `${sort} ${word} is not among the trainer's: ${known.join(', ')}`);
}
