/** Whether a mask would keep nothing, which trainers refuse. Pure. */
import { PRUNERS } from '../../common/vocabulary/pruners';
import { adapterLabel } from './adapters';
import { adapterSizes, countKept, sum } from './budget';
import { listModules } from './modules';
import type { AdapterConfig, PlannedBackbone, PruneConfig } from './types';

/** What is counted together, by a trainer's rule. */
interface Scope {
  name: string;
  pieces: number;
}

/**
 * The key, why nothing is kept and what would be right; null if something is. N:M keeps N of every
 * group, and the published code goes on without any weight.
 */
export function emptyMaskProblem(
  adapter: AdapterConfig,
  prune: PruneConfig,
  backbone: PlannedBackbone,
): string | null {
  const { pruner, sparsity, structure, rules } = prune;
  if (pruner === 'none' || structure === 'n_m' || rules === 'official') return null;
  const empty = listScopes(adapter, prune, backbone).find(
    ({ pieces }) => pieces > 0 && countKept(pieces, sparsity) === 0,
  );
  if (empty === undefined) return null;
  const what = structure === 'units' ? 'units' : 'weights';
  return (
    `sparsity: ${sparsity} keeps none of the ${empty.pieces} ${what} of ${empty.name} in the ` +
    `adapter ${adapterLabel(adapter)}; must be lower, or the bottleneck wider`
  );
}

function listScopes(
  adapter: AdapterConfig,
  { pruner, structure, scope }: PruneConfig,
  backbone: PlannedBackbone,
): Scope[] {
  const modules = listModules(adapter, backbone);
  const isLocal = scope === 'local' && !PRUNERS[pruner].setsDensities;
  if (structure === 'units')
    return isLocal
      ? modules.map(({ name, units }) => ({ name, pieces: units }))
      : [{ name: 'all modules', pieces: sum(modules.map(({ layers, units }) => layers * units)) }];
  if (!isLocal)
    return [{ name: 'all matrices', pieces: sum(adapterSizes(adapter, backbone).matrices) }];
  return modules.flatMap(({ name, units, inputs, outputs }) => [
    { name: `${name}.down.weight`, pieces: units * inputs },
    { name: `${name}.up.weight`, pieces: outputs * units },
  ]);
}
