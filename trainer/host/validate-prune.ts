/** Checks how a trial's adapter is pruned, without looking beyond the request. */
import { PRUNERS, type PrunerRow } from '../../common/vocabulary/pruners';
import { findRow, findWord } from '../../common/vocabulary/vocabulary';
import { isNamed } from '../../common/vocabulary/tensor-names';
import {
  AdapterNorm,
  MaskControl,
  MaskRules,
  MaskStructure,
  Prune,
  Pruner,
  PruneSchedule,
  PruneScope,
  ScoringHead,
  TaskKind,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { hasLora, hasMatrices } from './adapter-parts';
import { nameIn, type Violations } from './violations';
import type { WholeTrial } from './whole-spec';

/** Every prunable matrix of a layer, by name. */
const PRUNABLE = ['attention', 'ffn', 'query', 'value', 'ffn_in', 'ffn_out'].flatMap((site) => [
  `${site}.down`,
  `${site}.up`,
]);

export function checkPrune(
  found: Violations,
  at: string,
  trial: WholeTrial,
  taskKind: TaskKind,
): void {
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
  if (PRUNABLE.some((name) => isNamed(`layers.0.${name}.weight`, adapter.frozen))) {
    const why = 'adapter.frozen names matrices that would be pruned';
    found.add(`${at}.pruner`, `${pruner} is not NONE, as it is where ${why}`);
  }
  found.isOneOf(`${at}.scope`, prune.scope, PruneScope);
  found.isOneOf(`${at}.control`, prune.control, MaskControl);
  found.isOneOf(`${at}.structure`, prune.structure, MaskStructure);
  found.isOneOf(`${at}.rules`, prune.rules, MaskRules);
  const row = findRow(PRUNERS, prune.pruner);
  if (row?.setsDensities && prune.scope === PruneScope.PRUNE_SCOPE_LOCAL) {
    const why = `${findPrunerWord(prune)} sets each matrix's density itself`;
    found.add(`${at}.scope`, `is LOCAL; ${why}: it is GLOBAL`);
  }
  if (row?.uses.includes('scoring_rows')) found.atLeastOne(`${at}.scoring_rows`, prune.scoringRows);
  if (row?.uses.includes('temperature')) found.positive(`${at}.temperature`, prune.temperature);
  if (row?.uses.includes('scoring_rows')) checkScoringHead(found, at, prune, taskKind);
  found.atLeastOne(`${at}.rounds`, prune.rounds);
  if (prune.rounds > 1) {
    found.isOneOf(`${at}.schedule`, prune.schedule, PruneSchedule);
    if (row && !usesRounds(row, prune)) {
      const why = `the scores of ${pruner} are the same in every round`;
      found.add(`${at}.rounds`, `${prune.rounds} is not 1; ${why}`);
    }
  }
  checkPruneDuringTraining(found, at, trial);
  const isStructured = [
    MaskStructure.MASK_STRUCTURE_N_M,
    MaskStructure.MASK_STRUCTURE_UNITS,
  ].includes(prune.structure);
  const structure = nameIn(MaskStructure, prune.structure);
  if (prune.structure === MaskStructure.MASK_STRUCTURE_N_M) checkGroups(found, at, prune);
  if (isStructured && row?.setsDensities)
    found.add(`${at}.structure`, `${structure} is not WEIGHTS, as ${findPrunerWord(prune)} needs`);
  if (prune.rules !== MaskRules.MASK_RULES_OFFICIAL) return;
  if (isStructured)
    found.add(`${at}.structure`, `${structure} is not WEIGHTS, as OFFICIAL rules need`);
  checkOfficialRules(found, at, trial);
}

function checkScoringHead(found: Violations, at: string, prune: Prune, taskKind: TaskKind): void {
  const { scoringHead, scoringHeadSteps: steps } = prune;
  if (scoringHead) checkOtherHead(found, `${at}.scoring_head`, prune, taskKind);
  const field = `${at}.scoring_head_steps`;
  if (scoringHead === ScoringHead.SCORING_HEAD_WARMED_UP) found.atLeastOne(field, steps);
  else {
    const right = '0, as it is unless scoring_head is SCORING_HEAD_WARMED_UP';
    found.require(steps === 0, field, steps, right);
  }
}

/** Checks a head that is not as it is drawn. */
function checkOtherHead(
  found: Violations,
  field: string,
  { scoringHead, everySteps, rules }: Prune,
  taskKind: TaskKind,
): void {
  found.isOneOf(field, scoringHead, ScoringHead);
  const name = nameIn(ScoringHead, scoringHead);
  if (everySteps > 0)
    found.add(field, `${name} is set; during training the head is the trained one`);
  if (rules === MaskRules.MASK_RULES_OFFICIAL)
    found.add(field, `${name} is set; the published code scores with the head as it is drawn`);
  const isWarmedUp = scoringHead === ScoringHead.SCORING_HEAD_WARMED_UP;
  const without = [
    ...(isWarmedUp ? [] : [TaskKind.TASK_KIND_QUESTION_ANSWERING]),
    TaskKind.TASK_KIND_SUMMARIZATION,
  ];
  if (!without.includes(taskKind)) return;
  const kinds = isWarmedUp
    ? 'CLASSIFICATION, REGRESSION and QUESTION_ANSWERING'
    : 'CLASSIFICATION and REGRESSION';
  const kind = nameIn(TaskKind, taskKind).replace('TASK_KIND_', '');
  found.add(field, `${name} is set; it is for ${kinds}, not for ${kind}`);
}

/** The pruner as in messages, for example `ER`. */
const findPrunerWord = ({ pruner }: Prune): string => findWord(PRUNERS, pruner)!.toUpperCase();

/**
 * During training, MAG's weights differ from round to round, and RAND's density falls like the
 * others'. Official rules rescore in every round.
 */
function usesRounds({ uses, setsDensities }: PrunerRow, { everySteps, rules }: Prune): boolean {
  const scoresAnew = everySteps > 0 || rules === MaskRules.MASK_RULES_OFFICIAL;
  return uses.includes('rounds') || (scoresAnew && !setsDensities);
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
  const row = findRow(PRUNERS, prune.pruner);
  if (row && row.unpublished !== null) {
    found.add(
      `${at}.pruner`,
      `${nameIn(Pruner, prune.pruner)} is not in the published code, whose rules are asked for; ` +
        `with ${findPrunerWord(prune)} rules is EXACT`,
    );
  }
  if (prune.pruner === Pruner.PRUNER_SYNFLOW && hasLora(adapter)) {
    found.add(
      `${at}.rules`,
      `is OFFICIAL; the published ${findPrunerWord(prune)} cannot score an adapter with LORA: ` +
        'take EXACT rules, or another pruner',
    );
  }
  if (row?.uses.includes('temperature') && prune.temperature !== 1) {
    found.add(
      `${at}.temperature`,
      `${prune.temperature} is not 1, as OFFICIAL rules need: the published code does not use it`,
    );
  }
  if (prune.pruner === Pruner.PRUNER_SYNFLOW && adapter.norm === AdapterNorm.ADAPTER_NORM_AFTER) {
    found.add(
      `${at}.rules`,
      "is OFFICIAL where adapter.norm is AFTER: a norm's outputs sum to a constant, so that the " +
        `scores of ${findPrunerWord(prune)} are rounding errors; take EXACT rules, or another norm`,
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
    for (const [name, value] of listOfTraining(prune))
      if (value) found.add(`${at}.${name}`, 'is set, as it is only where every_steps is');
    return;
  }
  const during = `where every_steps, ${everySteps} here, asks for pruning during training`;
  if (findRow(PRUNERS, prune.pruner)?.setsDensities) {
    const why = `${findPrunerWord(prune)} prunes at initialization only`;
    found.add(`${at}.every_steps`, `${everySteps} is not 0; ${why}`);
  }
  if (prune.control > MaskControl.MASK_CONTROL_NONE && prune.repeats === 0) {
    found.add(
      `${at}.control`,
      `${nameIn(MaskControl, prune.control)} is not NONE, as it is ${during}`,
    );
  }
  if (prune.reinitialize) found.add(`${at}.reinitialize`, `is not false, as it is ${during}`);
  if (prune.rules === MaskRules.MASK_RULES_OFFICIAL && prune.repeats === 0)
    found.add(`${at}.rules`, `is not EXACT, as it is ${during}`);
  if (prune.repeats > 0) {
    checkRepeats(found, at, prune, train.totalSteps);
    return;
  }
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

/** What applies to pruning during training alone, by name. */
const listOfTraining = (prune: Prune): [name: string, value: number | boolean][] => [
  ['repeats', prune.repeats],
  ['keeps_removed_weights', prune.keepsRemovedWeights],
  ['keeps_scoring_gradients', prune.keepsScoringGradients],
];

function checkRepeats(
  found: Violations,
  at: string,
  { rules, repeats, beginStep, everySteps }: Prune,
  total: number,
): void {
  if (rules !== MaskRules.MASK_RULES_OFFICIAL)
    found.add(`${at}.repeats`, `${repeats} is not 0, as it is unless rules is OFFICIAL`);
  const last = beginStep + (repeats - 1) * everySteps;
  if (total <= 0 || total > last) return;
  found.add(
    `${at}.repeats`,
    'the last rounds are too late: begin_step + (repeats − 1) · every_steps = ' +
      `${last} is not less than train.total_steps, ${total}`,
  );
}
