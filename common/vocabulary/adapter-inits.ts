/** How the matrices down and up are initialized. */
import { AdapterInit } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary, listWords } from './vocabulary';

export const ADAPTER_INITS = defineVocabulary<AdapterInit>()({
  gaussian: { proto: AdapterInit.ADAPTER_INIT_GAUSSIAN },
  zero_up: { proto: AdapterInit.ADAPTER_INIT_ZERO_UP },
});

export type AdapterInitName = keyof typeof ADAPTER_INITS;

export const ADAPTER_INIT_NAMES = listWords(ADAPTER_INITS);
