/**
 * Checks the pruners of each `compare` line against its adapters, in which the sweep's own adapter
 * keys are already merged. Pure.
 */
import { adapterName, hasLora, hasMatrices } from '../sweep/adapters';
import { PRUNERS, type PrunerName } from '../../common/vocabulary/pruners';
import type { AdapterConfig } from '../sweep/types';
import type { Problem } from '../base/errors';
import type { CompareLine } from './sweep-config';

/** The problems of all lines, worded like those of the schema. */
export function checkCompare(compare: readonly CompareLine[]): Problem[] {
  return compare.flatMap((line, i) => {
    const message = findProblem(line);
    return message === null ? [] : [{ where: line.origin, message: `compare[${i}].${message}` }];
  });
}

function findProblem(line: CompareLine): string | null {
  for (const adapter of line.adapters) {
    const { attention, ffn, unfrozen } = adapter;
    if (unfrozen !== 'none' && (attention !== 'none' || ffn !== 'none')) {
      const module = attention === 'none' ? ffn : attention;
      const kind = adapterName({ attention: 'none', ffn: 'none', unfrozen });
      return (
        `adapter: "${module}" is not allowed with ${kind}; ` +
        'must be none: no module can be added when parts of the backbone are trained'
      );
    }
    for (const pruner of line.pruner.filter((each) => each !== 'none')) {
      const message = pairProblem(pruner, adapter, line);
      if (message !== null)
        return (
          `pruner: "${pruner}" is not allowed with the adapter ` +
          `${adapterName(adapter)}${message}`
        );
    }
  }
  return null;
}

function pairProblem(pruner: PrunerName, adapter: AdapterConfig, line: CompareLine): string | null {
  if (!hasMatrices(adapter)) return '; must be none: it has no matrix to prune';
  if (line.rules === 'official') return officialProblem(pruner, adapter);
  const { zeroUp } = PRUNERS[pruner];
  // After some training, up is no longer 0.
  const trainedBefore = line.progressive !== null && line.progressive.begin_epoch > 0;
  if (zeroUp === null || adapter.init !== 'zero_up' || trainedBefore) return null;
  const refuse = (reason: string) =>
    ` and init zero_up: ${reason}; must be used with init gaussian`;
  if ('refused' in zeroUp) return refuse(zeroUp.refused);
  const apart =
    line.n_m.length > 0 || (line.structure.includes('weights') && line.scope.includes('local'));
  return apart ? refuse(zeroUp.refusedApart) : null;
}

function officialProblem(pruner: PrunerName, adapter: AdapterConfig): string | null {
  if (!hasLora(adapter) || pruner !== 'synflow') return null;
  return ' under compat official: the published SynFlow ends with an error where there is LoRA';
}
