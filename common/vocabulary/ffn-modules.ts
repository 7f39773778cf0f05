/** The modules that are trained with each layer's feed-forward block. */
import { FfnModule } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { ModuleRow } from './module-row';
import { defineVocabulary, listWords } from './vocabulary';

const BOTTLENECK = {
  form: 'bottleneck',
  matrices: [{ site: 'ffn', inputs: 'hidden', outputs: 'hidden' }],
  // As in SparseAdapter's official code.
  bottleneck: 64,
} as const;

export const FFN_MODULES = defineVocabulary<FfnModule, ModuleRow>()({
  none: {
    proto: FfnModule.FFN_MODULE_NONE,
    form: null,
    matrices: [],
    bottleneck: 0,
    paper: null,
    flags: { modes: ['none'] },
  },
  sequential: {
    ...BOTTLENECK,
    proto: FfnModule.FFN_MODULE_SEQUENTIAL,
    paper: 'Houlsby et al. 2019',
    flags: { modes: ['adapter'], option: 'sequential' },
  },
  parallel: {
    ...BOTTLENECK,
    proto: FfnModule.FFN_MODULE_PARALLEL,
    paper: 'He et al. 2022',
    flags: { modes: ['adapter'], option: 'parallel' },
  },
  lora: {
    proto: FfnModule.FFN_MODULE_LORA,
    form: 'low_rank',
    matrices: [
      { site: 'ffn_in', inputs: 'hidden', outputs: 'inner' },
      { site: 'ffn_out', inputs: 'inner', outputs: 'hidden' },
    ],
    bottleneck: 8,
    paper: 'Hu et al. 2021',
    flags: { modes: ['lora'] },
  },
  after_norm: {
    ...BOTTLENECK,
    proto: FfnModule.FFN_MODULE_AFTER_NORM,
    paper: 'Pfeiffer et al. 2021',
    flags: { modes: ['adapter'], option: 'pfeiffer' },
    needsNormalizedSum: true,
  },
});

export type FfnModuleName = keyof typeof FFN_MODULES;

export const FFN_MODULE_NAMES = listWords(FFN_MODULES);
