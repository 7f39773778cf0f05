/** How a prefix is drawn, other than with init_std. */
import { PrefixInit } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const PREFIX_INITS = defineVocabulary<PrefixInit>()({
  torch: { proto: PrefixInit.PREFIX_INIT_TORCH },
});

export type PrefixInitName = keyof typeof PREFIX_INITS;
