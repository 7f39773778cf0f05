/** From the lines of `compare` to what a sweep's trials have besides task and seed. Pure. */
import { ConfigError } from '../config/errors';
import { defaultRounds, uses } from '../config/pruners';
import type { CompareLine } from '../config/sweep-config';
import { solveLargeSparse } from './large-sparse';
import type { AdapterConfig, PlannedBackbone, PruneConfig, Pruner } from './types';

export interface Variant {
  adapter: AdapterConfig;
  prune: PruneConfig;
}

/** No pruning: every key at the value that it has where it is not used. */
export const DENSE: PruneConfig = {
  pruner: 'none',
  sparsity: 0,
  scope: 'global',
  scoring_rows: 0,
  temperature: 0,
  rounds: 1,
  schedule: 'exponential',
  control: 'none',
  reinitialize: false,
  structure: 'weights',
  group_size: 0,
  group_kept: 0,
  every_steps: 0,
  begin_step: 0,
  rules: 'exact',
};

/**
 * Lists multiply, in the order line, adapter, pruner, sparsity, scope and the pruner's other keys.
 *
 * @throws ConfigError where a Large-Sparse line has no sparsity that gives it the dense budget
 */
export function expandCompare(compare: readonly CompareLine[], backbone: PlannedBackbone): Variant[] {
  const reference = compare.find(({ pruner }) => pruner.includes('none'))?.adapters[0];
  return compare.flatMap((line, i) =>
    line.adapters.flatMap((adapter) => {
      const sparsities = line.large_sparse ? [largeSparsity(line, i, adapter, reference, backbone)] : line.sparsity;
      return line.pruner.flatMap((pruner) => prunesOf(pruner, sparsities, line)).map((prune) => ({ adapter, prune }));
    }),
  );
}

/** What a pruner does not use is set to one value, so that equal trials have equal ids. */
function prunesOf(pruner: Pruner, sparsities: readonly number[], line: CompareLine): PruneConfig[] {
  if (pruner === 'none') return [DENSE];
  let prunes: PruneConfig[] = [{ ...DENSE, pruner }];
  const multiply = (choices: readonly Partial<PruneConfig>[]) => {
    prunes = prunes.flatMap((prune) => choices.map((chosen) => ({ ...prune, ...chosen })));
  };
  multiply(sparsities.map((sparsity) => ({ sparsity })));
  multiply(line.scope.map((scope) => ({ scope })));
  if (uses(pruner, 'scoring_rows')) multiply(line.scoring_rows.map((scoring_rows) => ({ scoring_rows })));
  if (uses(pruner, 'temperature')) multiply(line.temperature.map((temperature) => ({ temperature })));
  if (uses(pruner, 'rounds')) {
    const rounds = line.rounds ?? [defaultRounds(pruner)];
    multiply(rounds.flatMap((n) => (n === 1 ? [{ rounds: 1 }] : line.schedule.map((schedule) => ({ rounds: n, schedule })))));
  }
  multiply(line.control.map((control) => ({ control })));
  multiply(line.reinitialize.map((reinitialize) => ({ reinitialize })));
  return prunes;
}

function largeSparsity(
  line: CompareLine,
  index: number,
  adapter: AdapterConfig,
  reference: AdapterConfig | undefined,
  backbone: PlannedBackbone,
): number {
  const solved =
    reference === undefined
      ? { refusal: 'needs a dense reference to take its budget from; must stand beside a line {pruner: none}' }
      : solveLargeSparse(adapter, reference, backbone);
  if ('sparsity' in solved) return solved.sparsity;
  throw new ConfigError({ where: line.origin, message: `compare[${index}].large_sparse: ${solved.refusal}` });
}
