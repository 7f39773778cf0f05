/** Warns of what a user may not expect of a plan. Pure. */
import { PRUNERS } from '../../common/vocabulary/pruners';
import { groupBy } from '../base/group-by';
import { adapterLabel, hasZeroUpInPaper } from './adapters';
import { dataWarnings, heldOutWarnings } from './data-warnings';
import { listHeldOut, listTaskDatasets } from './lookup';
import type { Plan, Trial } from './types';

/** One sentence per warning, of its masks and its data. */
export function planWarnings(plan: Plan): string[] {
  return [
    ...maskWarnings(plan),
    ...listTaskDatasets(plan.datasets).flatMap(dataWarnings),
    ...listHeldOut(plan.datasets).flatMap(heldOutWarnings),
  ];
}

/** One sentence per warning, without duplicates, in the order of the trials. */
export function maskWarnings({ trials }: Plan): string[] {
  return [...new Set(trials.flatMap(trialWarnings)), ...initWarnings(trials)];
}

/** Which adapters start otherwise than in their papers, for the sake of which pruners. */
function initWarnings(trials: readonly Trial[]): string[] {
  const needed = trials.filter(
    ({ adapter, prune: { pruner, rules, begin_step } }) =>
      PRUNERS[pruner].zeroUp !== null &&
      rules !== 'official' &&
      begin_step === 0 &&
      adapter.init === 'gaussian' &&
      hasZeroUpInPaper(adapter),
  );
  return [...groupBy(needed, ({ adapter }) => adapterLabel(adapter))].map(([label, same]) => {
    const pruners = [...new Set(same.map(({ prune }) => prune.pruner))].join(', ');
    return (
      `${label}: up starts at N(0, ${same[0]!.adapter.init_std}), not at 0 as in its paper, in ` +
      `all trials here: at 0 it would have no usable scores of ${pruners}`
    );
  });
}

function trialWarnings({ adapter, prune }: Trial): string[] {
  const { pruner, rules } = prune;
  const { zeroUp, officialNorms } = PRUNERS[pruner];
  const label = adapterLabel(adapter);
  const warnings: string[] = [];
  const isZeroUp = adapter.init === 'zero_up' && adapter.attention_init === undefined;
  // At a later step, up has already been trained.
  if (zeroUp !== null && isZeroUp && prune.begin_step === 0) {
    const of = `${pruner} with init ${adapter.init} (${label})`;
    if ('warning' in zeroUp) {
      if (prune.structure === 'weights') warnings.push(`${of}: ${zeroUp.warning}`);
    } else if (rules === 'official' && zeroUp.official !== undefined) {
      warnings.push(`${of}, compat official: ${zeroUp.official}`);
    }
  }
  if (rules !== 'official') return warnings;
  const norm = officialNorms[adapter.norm];
  if (norm !== undefined)
    warnings.push(`${pruner} with norm ${adapter.norm} (${label}), compat official: ${norm}`);
  if (prune.control === 'shuffled')
    warnings.push('control shuffled, compat official: changes nothing, as in the published code');
  return warnings;
}
