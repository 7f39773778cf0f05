/** What a line of `compare` says about pruners against the adapters that it comes to, the sweep's own adapter keys included. Pure. */
import type { AdapterConfig, Pruner } from '../sweep/types';
import { adapterName, hasMatrices } from './adapter-kinds';
import type { Problem } from './errors';
import type { CompareLine } from './sweep-config';

/**
 * Why a pruner's scores say nothing where up is 0. The gradient of down is 0 there, and so is up itself: |g · w| and SynFlow's score are 0
 * everywhere; GraSP's w · (H g) is 0 for all of up.
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
    return message === null ? [] : [{ where: line.origin, message: `compare[${i}].pruner: ${message}` }];
  });
}

function problemOf(line: CompareLine): string | null {
  for (const pruner of line.pruner.filter((each) => each !== 'none')) {
    for (const adapter of line.adapters) {
      const message = pairProblem(pruner, adapter);
      if (message !== null) return message;
    }
  }
  return null;
}

function pairProblem(pruner: Pruner, adapter: AdapterConfig): string | null {
  const name = adapterName(adapter);
  if (!hasMatrices(adapter)) {
    return `"${pruner}" is not allowed with the adapter ${name}; must be none: it has no matrix to prune`;
  }
  const reason = NEEDS_UP[pruner];
  if (adapter.init === 'zero_up' && reason !== undefined) {
    return `"${pruner}" is not allowed with the adapter ${name} of init zero_up: ${reason}; must be used with init gaussian`;
  }
  return null;
}
