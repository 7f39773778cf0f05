/** Whether an adapter can be pruned in the requested pieces, on its backbone. Pure. */
import { adapterLabel } from './adapters';
import { listModules, unitSize } from './modules';
import type { AdapterConfig, PlannedBackbone, PruneConfig } from './types';

/** The key, why it cannot and what would be right; null if it can. */
export function structureProblem(
  adapter: AdapterConfig,
  prune: PruneConfig,
  backbone: PlannedBackbone,
): string | null {
  if (prune.structure === 'n_m') return groupProblem(adapter, prune, backbone);
  if (prune.structure === 'units' && prune.scope === 'global')
    return unitProblem(adapter, backbone);
  return null;
}

/** Groups are neighbours in a row, so group_size must divide every matrix's columns. */
function groupProblem(
  adapter: AdapterConfig,
  { group_kept, group_size }: PruneConfig,
  backbone: PlannedBackbone,
): string | null {
  const matrices = listModules(adapter, backbone).flatMap(({ name, units, inputs, outputs }) => [
    { name: `${name}.down.weight`, rows: units, columns: inputs },
    { name: `${name}.up.weight`, rows: outputs, columns: units },
  ]);
  const uneven = matrices.find(({ columns }) => columns % group_size !== 0);
  if (uneven === undefined) return null;
  const { name, rows, columns } = uneven;
  return (
    `n_m: "${group_kept}:${group_size}" is not allowed with the adapter ` +
    `${adapterLabel(adapter)}: ` +
    `${name} [${rows}, ${columns}] has ${columns} columns, not a multiple of ${group_size}; ` +
    'must divide the columns of every matrix'
  );
}

/** A global count of units is a budget only if all units have the same size. */
function unitProblem(adapter: AdapterConfig, backbone: PlannedBackbone): string | null {
  const modules = listModules(adapter, backbone);
  const [first, ...others] = modules;
  const other = others.find((module) => unitSize(module) !== unitSize(first!));
  if (first === undefined || other === undefined) return null;
  return (
    `scope: global is not allowed with structure units and the adapter ${adapterLabel(adapter)}: ` +
    `a unit of ${first.name} has ${unitSize(first)} weights, ` +
    `one of ${other.name} ${unitSize(other)}; must be local`
  );
}
