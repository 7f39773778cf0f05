/**
 * What a plan's trials ask of a trainer. Every job is checked against its trainer, and a plan may
 * have thousands of trials, so they are gone through once for each plan.
 */
import type { AdapterNormName } from '../../common/vocabulary/adapter-norms';
import type { AttentionModuleName } from '../../common/vocabulary/attention-modules';
import type { FfnModuleName } from '../../common/vocabulary/ffn-modules';
import { listLaterFields } from '../../common/vocabulary/later-fields';
import type { MaskRulesName } from '../../common/vocabulary/mask-rules';
import type { MaskStructureName } from '../../common/vocabulary/mask-structures';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { PrunerName } from '../../common/vocabulary/pruners';
import type { UnfrozenName } from '../../common/vocabulary/unfrozen';
import { readPrecision } from '../sweep/precision';
import type { Plan, Trial } from '../sweep/types';

export interface PlanNeeds {
  attentionModules: Set<AttentionModuleName>;
  ffnModules: Set<FfnModuleName>;
  unfrozen: Set<UnfrozenName>;
  pruners: Set<PrunerName>;
  maskStructures: Set<MaskStructureName>;
  maskRules: Set<MaskRulesName>;
  prunesDuringTraining: boolean;
  /** Paths of the later fields that some trial or job sets. */
  laterFields: Set<string>;
  norms: Set<AdapterNormName>;
  precisions: Set<PrecisionName>;
}

/** A plan never changes. */
const known = new WeakMap<Plan, PlanNeeds>();

export function findNeeds(plan: Plan): PlanNeeds {
  const needs = known.get(plan) ?? collectNeeds(plan);
  known.set(plan, needs);
  return needs;
}

function collectNeeds({ trials, search, cohorts }: Plan): PlanNeeds {
  const collect = <Word>(of: (trial: Trial) => Word[]): Set<Word> => new Set(trials.flatMap(of));
  return {
    attentionModules: collect(({ adapter }) => [adapter.attention]),
    ffnModules: collect(({ adapter }) => [adapter.ffn]),
    unfrozen: collect(({ adapter }) => [adapter.unfrozen]),
    pruners: collect(({ prune }) => [prune.pruner]),
    maskStructures: collect(({ prune }) => [prune.structure]),
    maskRules: collect(({ prune }) => [prune.rules]),
    prunesDuringTraining: trials.some(({ prune }) => prune.every_steps > 0),
    laterFields: new Set([
      ...collect(listLaterFields),
      ...(search?.stop_early !== undefined || cohorts.some((each) => each.evaluate_at)
        ? ['predict.at_step']
        : []),
    ]),
    norms: collect(({ adapter }) => [adapter.norm, adapter.attention_norm ?? adapter.norm]),
    precisions: collect((trial) => [readPrecision(trial)]),
  };
}
