/** How attention reads a prefix. */
import { PrefixUse } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const PREFIX_USES = defineVocabulary<PrefixUse>()({
  cross: { proto: PrefixUse.PREFIX_USE_CROSS },
  cross_plain: { proto: PrefixUse.PREFIX_USE_CROSS_PLAIN },
  cross_relu: { proto: PrefixUse.PREFIX_USE_CROSS_RELU },
  cross_gated: { proto: PrefixUse.PREFIX_USE_CROSS_GATED },
  cross_relu_normed: { proto: PrefixUse.PREFIX_USE_CROSS_RELU_NORMED },
  cross_relu_gated: { proto: PrefixUse.PREFIX_USE_CROSS_RELU_GATED },
});

export type PrefixUseName = keyof typeof PREFIX_USES;
