/**
 * What a line of `compare` says about pruners against the adapters that it comes to, the sweep's
 * own adapter keys included. Pure.
 */
import type { AdapterConfig, Pruner } from '../sweep/types';
import { adapterName, hasLora, hasMatrices } from './adapter-kinds';
import type { Problem } from '../base/errors';
import type { CompareLine } from './sweep-config';

/**
 * Why a pruner's scores say nothing where up is 0. The gradient of down is 0 there, and so is up
 * itself: |g · w| and SynFlow's score are 0 everywhere; GraSP's w · (H g) is 0 for all of up.
 */
const NEEDS_UP: Partial<Record<Pruner, string>> = {
  snip: 'all scores would be 0',
  synflow: 'all scores would be 0',
  grasp: 'all scores of up would be 0',
};

/** The problems of all lines, in the words of the schema's own problems. */
export function checkCompare(compare: readonly CompareLine[]): Problem[] {
  return compare.flatMap((line, i) => {
    const message = problemOf(line);
    return message === null ? [] : [{ where: line.origin, message: `compare[${i}].${message}` }];
  });
}

function problemOf(line: CompareLine): string | null {
  for (const adapter of line.adapters) {
    const { attention, ffn, unfrozen } = adapter;
    if (unfrozen !== 'none' && (attention !== 'none' || ffn !== 'none')) {
      const module = attention === 'none' ? ffn : attention;
      const kind = adapterName({ attention: 'none', ffn: 'none', unfrozen });
      return (
        `adapter: "${module}" is not allowed beside ${kind}; ` +
        'must be none: parts of the backbone are trained alone'
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

function pairProblem(pruner: Pruner, adapter: AdapterConfig, line: CompareLine): string | null {
  if (!hasMatrices(adapter)) return '; must be none: it has no matrix to prune';
  if (line.rules === 'official') return officialProblem(pruner, adapter);
  // Up is no longer 0 once it has been trained.
  const trainedBefore = line.progressive !== null && line.progressive.begin_epoch > 0;
  if (adapter.init !== 'zero_up' || trainedBefore) return null;
  const reason = NEEDS_UP[pruner];
  if (reason !== undefined) return ` of init zero_up: ${reason}; must be used with init gaussian`;
  const apart =
    line.n_m.length > 0 || (line.structure.includes('weights') && line.scope.includes('local'));
  if (pruner === 'mag' && apart) {
    return (
      ' of init zero_up: scores of up, all 0, would be compared with each other alone; ' +
      'must be used with init gaussian'
    );
  }
  return null;
}

/** No result fails a trial by the official rules: what is refused has no result there. */
function officialProblem(pruner: Pruner, adapter: AdapterConfig): string | null {
  if (hasLora(adapter)) {
    return (
      ' under compat official: the published code merges LoRA into the frozen weights ' +
      'before it scores; must be none'
    );
  }
  if (pruner === 'synflow' && adapter.norm === 'after') {
    return (
      ' of norm after under compat official: its scores there are rounding errors; ' +
      'must be used with norm before or none'
    );
  }
  return null;
}
