/** What a plan's reader may not expect of its masks. Pure. */
import { adapterLabel } from '../config/adapter-kinds';
import type { Plan, Trial } from './types';

/** A sentence each, every one once, in the order of the trials. */
export function planWarnings({ trials }: Plan): string[] {
  return [...new Set(trials.flatMap(trialWarnings))];
}

function trialWarnings({ adapter, prune }: Trial): string[] {
  const { pruner, rules } = prune;
  const of = `${pruner} with init ${adapter.init} (${adapterLabel(adapter)})`;
  // Up has been trained by then.
  const zeroUp = adapter.init === 'zero_up' && prune.begin_step === 0;
  const warnings: string[] = [];
  if (pruner === 'mag' && zeroUp && prune.structure === 'weights') {
    warnings.push(`${of}: up is all 0, so all of it is removed before any weight of down`);
  }
  if (rules !== 'official') return warnings;
  if (pruner === 'snip' && zeroUp)
    warnings.push(`${of}, compat official: all scores become NaN, so nothing is cut`);
  if (pruner === 'grasp' && zeroUp)
    warnings.push(
      `${of}, compat official: all scores of up are 0, so up is cut as a whole or not at all`,
    );
  if (pruner === 'synflow' && zeroUp)
    warnings.push(`${of}, compat official: all scores are 0, so everything is cut`);
  if (pruner === 'synflow' && adapter.norm === 'before') {
    warnings.push(
      'synflow with norm before ' +
        `(${adapterLabel(adapter)}), compat official: all scores are 0, so everything is cut`,
    );
  }
  if (prune.control === 'shuffled')
    warnings.push('control shuffled, compat official: changes nothing, as in the published code');
  return warnings;
}
