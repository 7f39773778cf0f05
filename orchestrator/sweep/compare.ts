/** Turns a line of `compare` into a task's trials, except their training and seeds. Pure. */
import { PRUNERS, usesKey, type PrunerName } from '../../common/vocabulary/pruners';
import type { ScoringHeadChoice } from '../../common/vocabulary/scoring-heads';
import { ConfigError } from '../base/errors';
import { adapterLabel } from './adapters';
import { adapterProblem } from './encoder-decoder';
import type { CompareLine } from '../config/sweep-config';
import { solveLargeSparse } from './large-sparse';
import { emptyMaskProblem } from './empty-mask';
import { structureProblem } from './mask-structure';
import { DENSE } from './dense';
import { findFullRank, publishAdapter } from './published-model';
import { publishPrune, PUBLISHED_SCORING_ROWS } from './published-steps';
import { computeBudget } from './budget';
import { canonicalJson } from './canonical';
import { solveSameBudget } from './same-budget';
import type { AdapterConfig, PlannedBackbone, PruneConfig } from './types';

export interface ComparedTrial {
  adapter: AdapterConfig;
  prune: PruneConfig;
  /** Whether the line has `compat: official`. */
  official: boolean;
}

/** What a line's variants depend on, apart from the line. */
export interface CompareContext {
  backbone: PlannedBackbone;
  task: string;
  num_labels: number;
  steps_per_epoch: number;
  total_steps: number;
  /** A task family's kind. */
  kind: string;
  /** The following are only for `compat: official`. */
  max_length: number;
  batch_size: number;
  unfreeze_params: string;
}

/**
 * Lists multiply, in the order adapter, pruner, sparsity (or N:M), structure, scope and the
 * pruner's other keys.
 *
 * @throws ConfigError if the backbone cannot take an adapter, no sparsity gives a Large-Sparse line
 *   the dense budget, no line prunes what same_budget_as names, an adapter cannot be pruned in the
 *   pieces that a line asks for, nothing would be kept, or training ends before the last round
 */
export function expandLine(
  compare: readonly CompareLine[],
  i: number,
  context: CompareContext,
): ComparedTrial[] {
  const line = compare[i]!;
  const refuse = (message: string) =>
    new ConfigError({ where: line.origin, message: `compare[${i}].${message}` });
  const adapters =
    line.same_budget_as.length === 0
      ? line.adapters
      : line.adapters.flatMap((adapter) => narrowAdapter(adapter, line, compare, context, refuse));
  return adapters.flatMap((adapter) => {
    const sparsities = line.large_sparse
      ? [largeSparsity(adapter, findReference(compare), context, refuse)]
      : line.sparsity;
    return line.pruner
      .flatMap((pruner) => expandPrunes(pruner, sparsities, line, context))
      .map((prune) => {
        const trial =
          line.rules === 'official'
            ? publish({ adapter, prune }, line, context, refuse)
            : { adapter, prune, official: false };
        const problem =
          adapterProblem(trial.adapter, context.backbone) ??
          structureProblem(trial.adapter, trial.prune, context.backbone) ??
          emptyMaskProblem(trial.adapter, trial.prune, context.backbone) ??
          scoringHeadProblem(trial.prune, context) ??
          lateRound(trial.prune, context);
        if (problem !== null) throw refuse(problem);
        return trial;
      });
  });
}

/** The dense adapter whose budget Large-Sparse lines have. */
function findReference(compare: readonly CompareLine[]): AdapterConfig | undefined {
  return compare.find(
    ({ pruner, same_budget_as }) => pruner.includes('none') && same_budget_as.length === 0,
  )?.adapters[0];
}

/** The adapter at the budget of each pruning that the line names. */
function narrowAdapter(
  adapter: AdapterConfig,
  { same_budget_as }: CompareLine,
  compare: readonly CompareLine[],
  context: CompareContext,
  refuse: (message: string) => ConfigError,
): AdapterConfig[] {
  return same_budget_as.map(({ pruner, sparsity }) => {
    const lines = compare.filter(
      (line) => line.pruner.includes(pruner) && line.sparsity.includes(sparsity),
    );
    if (lines.length === 0)
      throw refuse(
        `same_budget_as: no line of compare has ${pruner} with sparsity ${sparsity}; ` +
          'must name a pruner and a sparsity that one has',
      );
    const budgets = lines.map((line) => {
      const [prune] = expandPrunes(pruner, [sparsity], line, context);
      const same = line.adapters.find((other) => canonicalJson(other) === canonicalJson(adapter));
      const adapters = same ? [same] : line.adapters;
      return adapters.map((each) => computeBudget(each, prune!, context.backbone, 0).kept);
    });
    const [kept, ...others] = new Set(budgets.flat());
    if (others.length > 0)
      throw refuse(
        `same_budget_as: ${pruner} with sparsity ${sparsity} keeps ` +
          `${[kept, ...others].join(' or ')} weights, as its adapters differ; must name what has ` +
          'one number of weights',
      );
    const narrowed = solveSameBudget(adapter, kept!, context.backbone);
    if (narrowed !== null) return narrowed;
    throw refuse(
      `same_budget_as: ${adapterLabel(adapter)} has no bottleneck to choose; must ` +
        'be an adapter with matrices to prune',
    );
  });
}

/** The same as the published code does it. */
function publish(
  { adapter: asked, prune: askedPrune }: Pick<ComparedTrial, 'adapter' | 'prune'>,
  { progressive, repeats }: CompareLine,
  context: CompareContext,
  refuse: (message: string) => ConfigError,
): ComparedTrial {
  const { steps_per_epoch, batch_size } = context;
  const prune = publishPrune(askedPrune, {
    steps_per_epoch,
    batch_size,
    begin_epoch: progressive?.begin_epoch ?? 0,
    repeats,
  });
  const pruned = prune.pruner !== 'none';
  const found = publishAdapter(asked, { ...context, pruned });
  if ('problem' in found) throw refuse(`adapter: ${found.problem}`);
  const problem = pruned ? findFullRank(found.adapter, context.backbone, prune.pruner) : null;
  if (problem !== null) throw refuse(`adapter: ${problem}`);
  return { adapter: found.adapter, prune, official: true };
}

/** Keys that a pruner does not use have one fixed value, so that equal trials have equal ids. */
function expandPrunes(
  pruner: PrunerName,
  sparsities: readonly number[],
  line: CompareLine,
  context: CompareContext,
): PruneConfig[] {
  if (pruner === 'none') return [DENSE];
  let prunes: PruneConfig[] = [
    { ...DENSE, pruner, rules: line.rules, ...progressiveSteps(line, context) },
  ];
  const multiply = (choices: readonly Partial<PruneConfig>[]) => {
    prunes = prunes.flatMap((prune) => choices.map((chosen) => ({ ...prune, ...chosen })));
  };
  if (line.n_m.length > 0) {
    multiply(
      line.n_m.map((group) => ({
        structure: 'n_m',
        ...group,
        sparsity: 1 - group.group_kept / group.group_size,
        scope: 'local',
      })),
    );
  } else {
    multiply(sparsities.map((sparsity) => ({ sparsity })));
    multiply(line.structure.map((structure) => ({ structure })));
    multiply(line.scope.map((scope) => ({ scope })));
  }
  const scoringRows = line.scoring_rows ?? [PUBLISHED_SCORING_ROWS];
  if (usesKey(pruner, 'scoring_rows'))
    multiply(scoringRows.map((scoring_rows) => ({ scoring_rows })));
  if (usesKey(pruner, 'scoring_rows')) multiply(line.scoring_head.map(chooseHead));
  if (usesKey(pruner, 'temperature'))
    multiply(line.temperature.map((temperature) => ({ temperature })));
  // The published code counts rounds for every pruner.
  if (usesKey(pruner, 'rounds') || line.progressive !== null || line.rules === 'official') {
    multiply(
      listRounds(pruner, line).flatMap((n) =>
        n === 1 ? [{ rounds: 1 }] : line.schedule.map((schedule) => ({ rounds: n, schedule })),
      ),
    );
  }
  multiply(line.control.map((control) => ({ control })));
  multiply(line.reinitialize.map((reinitialize) => ({ reinitialize })));
  return prunes;
}

/** Absent for the published one, so that its trials keep the ids from before there was a choice. */
function chooseHead(head: ScoringHeadChoice): Partial<PruneConfig> {
  if (head === 'published') return {};
  if (head === 'prior') return { scoring_head: head };
  return { scoring_head: 'warm_up', scoring_head_steps: head.warm_up };
}

/**
 * SynFlow has many rounds so that no layer is emptied. With N:M none can be, as every group keeps
 * N. The published code has one round for all pruners (`prune_epochs`).
 */
function listRounds(pruner: PrunerName, line: CompareLine): readonly number[] {
  const own = line.rules === 'exact' && line.n_m.length === 0;
  return line.rounds ?? [own ? PRUNERS[pruner].rounds : 1];
}

/**
 * Converts epochs to steps: at least one between rounds, as two rounds at one step would be one.
 */
function progressiveSteps(
  { progressive, rules }: CompareLine,
  context: CompareContext,
): Partial<PruneConfig> {
  if (progressive === null || rules === 'official') return {};
  const steps = (epochs: number) => Math.round(epochs * context.steps_per_epoch);
  return {
    begin_step: steps(progressive.begin_epoch),
    every_steps: Math.max(1, steps(progressive.every_epochs)),
  };
}

/** Refuses a prior where labels have none, and any other head where there is no head. */
function scoringHeadProblem(
  { scoring_head }: PruneConfig,
  { task, kind }: CompareContext,
): string | null {
  if (scoring_head === undefined || kind === 'classification' || kind === 'regression') return null;
  const hasHead = kind !== 'summarization';
  if (hasHead && scoring_head === 'warm_up') return null;
  const why = hasHead ? 'the spans of answers have no prior' : 'summaries have no head';
  return (
    `scoring: head ${scoring_head} is not allowed for task ${task}: ${why}; ` +
    'must be published or left out'
  );
}

/** Refuses a mask made after the last step, because no training would use it. */
function lateRound(
  { rounds, begin_step, every_steps, repeats }: PruneConfig,
  { task, steps_per_epoch, total_steps }: CompareContext,
): string | null {
  const last = begin_step + ((repeats ?? rounds) - 1) * every_steps;
  if (every_steps === 0 || last < total_steps) return null;
  return (
    `progressive: task ${task} has ${total_steps} steps (${steps_per_epoch} per epoch), ` +
    `and the last of ${repeats ?? rounds} rounds would be after step ${last}; ` +
    'must be before the last step: ' +
    'fewer rounds, a smaller begin_epoch or every_epochs, or longer training'
  );
}

function largeSparsity(
  adapter: AdapterConfig,
  reference: AdapterConfig | undefined,
  { backbone }: CompareContext,
  refuse: (message: string) => ConfigError,
): number {
  const solved =
    reference === undefined
      ? {
          refusal: 'needs a dense reference to take its budget from; add a line {pruner: none}',
        }
      : solveLargeSparse(adapter, reference, backbone);
  if ('sparsity' in solved) return solved.sparsity;
  throw refuse(`large_sparse: ${solved.refusal}`);
}
