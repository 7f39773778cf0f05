/** Where a bottleneck module has a layer norm. */
import { AdapterNorm } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary, listWords } from './vocabulary';

export const ADAPTER_NORMS = defineVocabulary<AdapterNorm>()({
  none: { proto: AdapterNorm.ADAPTER_NORM_NONE },
  before: { proto: AdapterNorm.ADAPTER_NORM_BEFORE },
  after: { proto: AdapterNorm.ADAPTER_NORM_AFTER },
  update: { proto: AdapterNorm.ADAPTER_NORM_UPDATE },
});

export type AdapterNormName = keyof typeof ADAPTER_NORMS;

export const ADAPTER_NORM_NAMES = listWords(ADAPTER_NORMS);
