/** Whether a mask's structure fits an adapter's matrices. */
import { MaskStructure, PruneScope, type Prune } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { Violation } from './violations';

/** [rows, columns] of the prunable matrices by name, in the order of a layer. */
export type Shapes = Map<string, readonly [number, number]>;

/** A field of Prune that does not fit these matrices, and why; undefined if all fit. */
export function findMaskMisfit(prune: Prune, shapes: Shapes): Violation | undefined {
  if (prune.structure === MaskStructure.MASK_STRUCTURE_N_M) return findUnevenGroups(prune, shapes);
  if (prune.structure !== MaskStructure.MASK_STRUCTURE_UNITS) return undefined;
  return prune.scope === PruneScope.PRUNE_SCOPE_GLOBAL ? findUnequalUnits(shapes) : undefined;
}

function findUnevenGroups({ groupSize }: Prune, shapes: Shapes): Violation | undefined {
  for (const [name, [, columns]] of shapes) {
    if (columns % groupSize === 0) continue;
    const description =
      `${groupSize} does not divide the ${columns} columns of ${name}; every prunable matrix has ` +
      'a multiple of it';
    return { field: 'group_size', description };
  }
  return undefined;
}

function findUnequalUnits(shapes: Shapes): Violation | undefined {
  const sizes = [...shapes]
    .filter(([name]) => name.endsWith('.down.weight'))
    .map(([name, [, inputs]]) => ({
      module: name.replace('.down.weight', ''),
      size: inputs + shapes.get(name.replace('.down.', '.up.'))![0],
    }));
  const first = sizes[0];
  const other = sizes.find(({ size }) => size !== first!.size);
  if (first === undefined || other === undefined) return undefined;
  const describe = (each: typeof first) => `one of ${each.module} has ${each.size} weights`;
  const units = `${describe(first)}, one of ${other.module} ${other.size}`;
  const description = `is GLOBAL, which takes units of equal size; ${units}: it is LOCAL`;
  return { field: 'scope', description };
}
