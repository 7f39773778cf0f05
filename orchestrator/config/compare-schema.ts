/** The lines of `compare`. */
import { z } from 'zod';
import { MASK_CONTROL_NAMES } from '../../common/vocabulary/mask-controls';
import { NAMED_STRUCTURES } from '../../common/vocabulary/mask-structures';
import {
  PRUNE_SCHEDULE_NAMES,
  PUBLISHED_PRUNE_SCHEDULES,
} from '../../common/vocabulary/prune-schedules';
import { PRUNE_SCOPE_NAMES } from '../../common/vocabulary/prune-scopes';
import {
  listUsersOf,
  PRUNER_NAMES,
  PRUNERS,
  usesKey,
  type PrunerKey,
  type PrunerName,
} from '../../common/vocabulary/pruners';
import { joinOr } from '../base/join-or';
import { adapterAxes, width } from './adapter-schema';
import { nOfM, sameBudget, scoringHead } from './compare-values';
import type { Compat } from './compat';
import {
  axis,
  choice,
  findRepeated,
  fraction,
  keptFraction,
  list,
  map,
  notNegative,
  positive,
  whole,
  yesOrNo,
} from './schema-parts';
import { lineTrain } from './train-schema';

/** What the contract's integers of 32 bits hold. */
const UINT32_MAX = 4_294_967_295;

const SPARSITY: Record<Compat, z.ZodType<number>> = { none: fraction, official: keptFraction };
const SPARSITY_MEANING: Record<Compat, string> = {
  none: 'the fraction of weights to remove, in [0, 1)',
  official: 'under compat official, the fraction of weights to keep, in (0, 1]',
};

const lineKeys = (compat: Compat) =>
  map({
    pruner: axis(choice(PRUNER_NAMES)),
    sparsity: axis(SPARSITY[compat]).optional(),
    n_m: axis(nOfM).optional(),
    structure: axis(choice(NAMED_STRUCTURES)).optional(),
    large_sparse: map({ bottleneck: axis(width) }).optional(),
    same_budget_as: axis(sameBudget).optional(),
    scope: axis(choice(PRUNE_SCOPE_NAMES)).optional(),
    scoring_rows: axis(whole(1, UINT32_MAX)).optional(),
    scoring: map({ head: axis(scoringHead).optional() }).optional(),
    temperature: axis(positive).optional(),
    rounds: axis(whole(1, 10000)).optional(),
    schedule: axis(choice(PRUNE_SCHEDULE_NAMES)).optional(),
    progressive: map({
      begin_epoch: notNegative.optional(),
      every_epochs: positive.optional(),
    }).optional(),
    control: axis(choice(MASK_CONTROL_NAMES)).optional(),
    repeats: whole(1, 10000).optional(),
    reinitialize: axis(yesOrNo).optional(),
    bottleneck: axis(width).optional(),
    adapter: adapterAxes.optional(),
    train: lineTrain.optional(),
  });

export type CompareKeys = z.output<ReturnType<typeof lineKeys>>;

type Problem = (key: keyof CompareKeys, message: string) => void;

/** Checks a line's keys against each other; check-compare.ts checks them against the adapter. */
const checkedLine = (compat: Compat) =>
  lineKeys(compat).superRefine((line, context) => {
    const problem: Problem = (key, message) =>
      context.addIssue({ code: 'custom', path: [key], message });
    const dense = line.pruner.filter((pruner) => pruner === 'none').length;
    if (dense > 0 && dense < line.pruner.length) {
      problem('pruner', 'either none or pruners: give the dense adapter a line of its own');
    } else if (dense > 0) {
      checkDense(line, problem);
    } else {
      if (line.same_budget_as !== undefined)
        problem(
          'same_budget_as',
          'left out if there is a pruner: it makes a dense adapter narrower',
        );
      checkAmount(line, compat, problem);
    }
    checkUsed(line, compat, problem);
    if (compat === 'official') checkOfficial(line, problem);
    else if (line.progressive !== undefined) checkProgressive(line, problem);
    if (compat === 'none' && line.repeats !== undefined)
      problem(
        'repeats',
        'left out without compat official: rounds during training are single ones',
      );
    if (line.bottleneck !== undefined && line.adapter?.bottleneck !== undefined) {
      problem('bottleneck', 'given once, either here or under adapter');
    }
  });

/** The schema of `compare`: lines that differ, as equal ones would be the same trials. */
const differentLines = (compat: Compat) =>
  list(checkedLine(compat)).superRefine((lines, context) => {
    const again = findRepeated(lines);
    if (again === -1) return;
    const message = 'another line: it is the same as one above it, and adds no trial';
    context.addIssue({ code: 'custom', path: [again], message });
  });

/** The same, by the `compat` that applies to it. */
export const compareLines = {
  none: differentLines('none'),
  official: differentLines('official'),
} satisfies Record<Compat, z.ZodType>;

function checkDense(line: CompareKeys, problem: Problem): void {
  for (const key of [
    'sparsity',
    'n_m',
    'structure',
    'large_sparse',
    'scope',
    'progressive',
    'control',
    'reinitialize',
  ] as const) {
    if (line[key] !== undefined) problem(key, 'left out if the pruner is none');
  }
  if (line.same_budget_as !== undefined) checkWidths(line, 'same_budget_as', problem);
}

/** Checks that a line says no width beside a key that sets it. */
function checkWidths(line: CompareKeys, set: keyof CompareKeys, problem: Problem): void {
  const why = `if ${set} is given, which sets the bottleneck`;
  if (line.bottleneck !== undefined) problem('bottleneck', `left out ${why}`);
  for (const key of ['bottleneck', 'attention_bottleneck', 'ffn_bottleneck'] as const) {
    if (line.adapter?.[key] !== undefined) problem('adapter', `without ${key} ${why}`);
  }
}

/** The line's pruner that sets the density of each matrix itself, if there is one. */
function findOwnDensities(line: CompareKeys): PrunerName | undefined {
  return line.pruner.find((pruner) => PRUNERS[pruner].setsDensities);
}

const OWN_DENSITIES = 'sets the density of each matrix itself';

/** Checks how much is removed, and in which structure. */
function checkAmount(line: CompareKeys, compat: Compat, problem: Problem): void {
  if (line.n_m !== undefined) checkGroups(line, problem);
  else if (line.large_sparse !== undefined) checkLargeSparse(line, problem);
  else if (line.sparsity === undefined)
    problem('sparsity', `given for a pruner: ${SPARSITY_MEANING[compat]}`);
  const own = findOwnDensities(line);
  if (own !== undefined && line.structure?.includes('units'))
    problem('structure', `weights if a pruner is ${own}: it ${OWN_DENSITIES}`);
}

function checkGroups(line: CompareKeys, problem: Problem): void {
  for (const key of ['sparsity', 'large_sparse'] as const) {
    if (line[key] !== undefined)
      problem(key, 'left out if n_m is given: 1 − N / M of the weights are removed');
  }
  if (line.scope !== undefined)
    problem('scope', 'left out if n_m is given: scores are compared within each group');
  if (line.structure !== undefined)
    problem('structure', 'left out if n_m is given: N:M is itself a structure');
  if (line.rounds?.some((rounds) => rounds > 1))
    problem('rounds', '1 or left out if n_m is given: groups are cut in a single round');
  const own = findOwnDensities(line);
  if (own !== undefined)
    problem('pruner', `without ${own} if n_m is given: ${own} ${OWN_DENSITIES}`);
}

function checkLargeSparse(line: CompareKeys, problem: Problem): void {
  if (line.sparsity !== undefined)
    problem('sparsity', 'left out if large_sparse is given: it follows from the dense budget');
  if (line.scope?.includes('local'))
    problem('scope', 'global if large_sparse is given: the budget covers all matrices together');
  if (line.structure?.includes('units')) {
    problem(
      'structure',
      'weights if large_sparse is given: whole units rarely add up to the dense budget',
    );
  }
  checkWidths(line, 'large_sparse', problem);
}

function checkUsed(line: CompareKeys, compat: Compat, problem: Problem): void {
  const used = (key: PrunerKey) => line.pruner.some((pruner) => usesKey(pruner, key));
  for (const key of ['scoring_rows', 'temperature'] as const) {
    if (line[key] !== undefined && !used(key))
      problem(key, `left out if no pruner is ${joinOr(listUsersOf(key))}`);
  }
  if (line.scoring !== undefined && !used('scoring_rows'))
    problem('scoring', `left out if no pruner is ${joinOr(listUsersOf('scoring_rows'))}`);
  if (!used('rounds') && line.progressive === undefined && compat === 'none') {
    const without =
      `if no pruner is ${joinOr(listUsersOf('rounds'))}: ` +
      'the scores of other pruners are the same in every round';
    if (line.rounds?.some((rounds) => rounds > 1)) problem('rounds', `1 or left out ${without}`);
    if (line.schedule !== undefined) problem('schedule', `left out ${without}`);
  } else if (line.schedule !== undefined && compat === 'none' && !hasSeveralRounds(line)) {
    problem('schedule', 'left out if there is a single round, or given with rounds above 1');
  }
  const own = findOwnDensities(line);
  if (own !== undefined && line.scope?.includes('local'))
    problem('scope', `global if a pruner is ${own}: it ${OWN_DENSITIES}`);
}

/** Whether the density falls in more than one step for some pruner, which a schedule is about. */
function hasSeveralRounds({ pruner, rounds, n_m, progressive }: CompareKeys): boolean {
  const own = pruner.map((each) => PRUNERS[each].rounds);
  const counts = rounds ?? (n_m === undefined && progressive === undefined ? own : [1]);
  return counts.some((each) => each > 1);
}

function checkProgressive(line: CompareKeys, problem: Problem): void {
  if (line.scoring !== undefined)
    problem('scoring', 'left out if progressive is given: the head is the trained one then');
  if (line.rounds === undefined)
    problem(
      'rounds',
      'given with progressive: the number of rounds in which the density falls, at least 1',
    );
  if (line.progressive?.every_epochs !== undefined && line.rounds?.every((rounds) => rounds === 1))
    problem('progressive', 'without every_epochs if there is a single round: none follows it');
  const own = findOwnDensities(line);
  if (own !== undefined)
    problem(
      'pruner',
      `without ${own} if progressive is given: its masks are random and ignore training`,
    );
  if (line.control?.some((control) => control !== 'none')) {
    problem(
      'control',
      'left out if progressive is given: it needs masks that are final before training',
    );
  }
  if (line.reinitialize?.includes(true)) {
    problem('reinitialize', 'left out if progressive is given: it would undo the training so far');
  }
}

/** Refuses what the code published with SparseAdapter lacks, or does by no reproducible rule. */
function checkOfficial(line: CompareKeys, problem: Problem): void {
  const under = 'under compat official';
  const unpublished = line.pruner.find((pruner) => PRUNERS[pruner].unpublished !== null);
  if (unpublished !== undefined)
    problem('pruner', `without ${unpublished} ${under}: ${PRUNERS[unpublished].unpublished}`);
  if (line.temperature !== undefined)
    problem('temperature', `left out ${under}: the published code sets one but does not use it`);
  if (line.scoring !== undefined) {
    problem('scoring', `left out ${under}: the published code scores with the head as it is drawn`);
  }
  if (line.large_sparse !== undefined) {
    problem(
      'large_sparse',
      `left out ${under}: it needs an exact count, ` +
        'but the published code removes all weights of equal score together',
    );
  }
  if (line.same_budget_as !== undefined)
    problem(
      'same_budget_as',
      `left out ${under}: how many weights the published code keeps depends on their scores`,
    );
  for (const key of ['n_m', 'structure'] as const) {
    if (line[key] !== undefined)
      problem(key, `left out ${under}: the published code removes single weights only`);
  }
  if (line.reinitialize?.includes(true))
    problem(
      'reinitialize',
      `false or left out ${under}: the published code ends with AttributeError there`,
    );
  if (line.progressive?.every_epochs !== undefined) {
    problem(
      'progressive',
      `without every_epochs ${under}: the published code prunes before every epoch from ` +
        'begin_epoch on, repeats times',
    );
  }
  if (line.schedule?.some((schedule) => !PUBLISHED_PRUNE_SCHEDULES.includes(schedule))) {
    problem(
      'schedule',
      `${joinOr(PUBLISHED_PRUNE_SCHEDULES)} ${under}: the published code has no other`,
    );
  }
}
