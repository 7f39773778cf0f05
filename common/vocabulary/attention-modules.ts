/** The modules that are trained with each layer's attention. */
import { AttentionModule } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { ModuleRow } from './module-row';
import { defineVocabulary, listWords } from './vocabulary';

const BOTTLENECK = {
  form: 'bottleneck',
  matrices: [{ site: 'attention', inputs: 'hidden', outputs: 'hidden' }],
  // As in SparseAdapter's official code.
  bottleneck: 64,
} as const;

export const ATTENTION_MODULES = defineVocabulary<AttentionModule, ModuleRow>()({
  none: {
    proto: AttentionModule.ATTENTION_MODULE_NONE,
    form: null,
    matrices: [],
    bottleneck: 0,
    paper: null,
    flags: { modes: ['none'] },
  },
  sequential: {
    ...BOTTLENECK,
    proto: AttentionModule.ATTENTION_MODULE_SEQUENTIAL,
    paper: 'Houlsby et al. 2019',
    flags: { modes: ['adapter'], option: 'sequential' },
  },
  parallel: {
    ...BOTTLENECK,
    proto: AttentionModule.ATTENTION_MODULE_PARALLEL,
    paper: 'He et al. 2022',
    flags: { modes: ['adapter'], option: 'parallel' },
  },
  lora: {
    proto: AttentionModule.ATTENTION_MODULE_LORA,
    form: 'low_rank',
    matrices: [
      { site: 'query', inputs: 'hidden', outputs: 'attention' },
      { site: 'value', inputs: 'hidden', outputs: 'attention' },
    ],
    bottleneck: 8,
    paper: 'Hu et al. 2021',
    flags: { modes: ['lora'] },
  },
  prefix: {
    proto: AttentionModule.ATTENTION_MODULE_PREFIX,
    form: 'prefix',
    matrices: [],
    // From He et al. (2022), as in MAM.
    bottleneck: 30,
    paper: 'Li & Liang 2021',
    flags: { modes: ['prefix', 'prefix_nomlp'] },
  },
  prompt: {
    proto: AttentionModule.ATTENTION_MODULE_PROMPT,
    form: 'prompt',
    matrices: [],
    // As in its paper, which gains little beyond that.
    bottleneck: 20,
    paper: 'Lester et al. 2021',
    flags: { modes: ['prompt_tuning'] },
  },
  parallel_context: {
    ...BOTTLENECK,
    proto: AttentionModule.ATTENTION_MODULE_PARALLEL_CONTEXT,
    paper: 'He et al. 2022',
    flags: { modes: ['adapter'], option: 'parallel_context' },
  },
  concat: {
    ...BOTTLENECK,
    proto: AttentionModule.ATTENTION_MODULE_CONCAT,
    paper: 'He et al. 2022',
    flags: { modes: ['adapter'], option: 'concat' },
  },
});

export type AttentionModuleName = keyof typeof ATTENTION_MODULES;

export const ATTENTION_MODULE_NAMES = listWords(ATTENTION_MODULES);
