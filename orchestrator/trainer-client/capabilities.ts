/** Whether a trainer can carry out a plan. */
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import type { Plan } from '../sweep/types';
import { ATTENTION_MODULES, FFN_MODULES, MASK_RULES, MASK_STRUCTURES, PRUNERS, TASK_KINDS, UNFROZEN } from './spec';

const PROTOCOL_VERSION = 1;

/** Everything in the plan that the trainer cannot do, a sentence each; empty where it can do it all. */
export function checkPlan(plan: Plan, capabilities: Capabilities): string[] {
  if (capabilities.protocolVersion !== PROTOCOL_VERSION) {
    return [`the trainer speaks version ${capabilities.protocolVersion} of the contract, not ${PROTOCOL_VERSION}`];
  }
  return [
    ...checkBackbone(plan, capabilities),
    ...checkAdapters(plan, capabilities),
    ...checkWords('pruner', PRUNERS, capabilities.pruners, new Set(plan.trials.map(({ prune }) => prune.pruner))),
    ...checkWords('mask structure', MASK_STRUCTURES, capabilities.maskStructures, new Set(plan.trials.map(({ prune }) => prune.structure))),
    ...checkWords('mask rules', MASK_RULES, capabilities.maskRules, new Set(plan.trials.map(({ prune }) => prune.rules))),
    ...(!capabilities.prunesDuringTraining && plan.trials.some(({ prune }) => prune.every_steps > 0)
      ? ['the trainer does not prune during training, as `progressive` needs']
      : []),
    ...checkWords('task kind', TASK_KINDS, capabilities.taskKinds, new Set(plan.datasets.map(({ kind }) => kind))),
    ...plan.cohorts
      .filter(({ trials }) => trials.length > capabilities.maxCohort)
      .map(({ id, trials }) => `cohort ${id} has ${trials.length} trials; the trainer takes at most ${capabilities.maxCohort} at once`),
  ];
}

function checkBackbone({ backbone }: Plan, capabilities: Capabilities): string[] {
  const lacking: string[] = [];
  if (!capabilities.architectures.includes(backbone.model_type)) {
    const supported = capabilities.architectures.join(', ');
    lacking.push(`backbone ${backbone.name} is of type ${backbone.model_type}; the trainer supports ${supported}`);
  }
  if (!backbone.path.startsWith('/') && !capabilities.hubDownload) {
    lacking.push(`backbone ${backbone.name} is not a directory, and the trainer does not download`);
  }
  return lacking;
}

function checkAdapters({ trials }: Plan, { attentionModules, ffnModules, unfrozen }: Capabilities): string[] {
  const adapters = trials.map(({ adapter }) => adapter);
  return [
    ...checkWords('attention module', ATTENTION_MODULES, attentionModules, new Set(adapters.map(({ attention }) => attention))),
    ...checkWords('feed-forward module', FFN_MODULES, ffnModules, new Set(adapters.map(({ ffn }) => ffn))),
    ...checkWords('part of the backbone', UNFROZEN, unfrozen, new Set(adapters.map((adapter) => adapter.unfrozen))),
  ];
}

/** The plan's words of one sort that the trainer does not list, with those that it does. */
function checkWords<Word extends string>(sort: string, all: Record<Word, number>, supported: readonly number[], used: Set<Word>): string[] {
  const words = Object.keys(all) as Word[];
  const known = words.filter((word) => supported.includes(all[word]));
  return [...used].filter((word) => !known.includes(word)).map((word) => `${sort} ${word} is not among the trainer's: ${known.join(', ')}`);
}
