import { whole } from '../../config/schema-parts';
import type { SettingsSchema } from '../family';

export interface QuestionSettings {
  /** Number of context tokens that neighbouring windows share. */
  doc_stride: number;
}

/** As in the official scripts (Devlin 2019). */
const DEFAULT_DOC_STRIDE = 128;

export const questionSettings: SettingsSchema<QuestionSettings> = {
  keys: { doc_stride: whole(0, 8191).optional() },
  trainKeys: {},
  trainDefaults: {},
  runFlags: [
    {
      flags: '--doc-stride <n>',
      description: 'SQuAD: overlap of neighbouring windows of a context, in tokens',
      isWhole: true,
      path: ['doc_stride'],
    },
  ],
  refusedElsewhere: [['doc_stride']],
  complete: ({ doc_stride = DEFAULT_DOC_STRIDE }: Partial<QuestionSettings>) => ({ doc_stride }),
  chooseForTrials: () => ({}),
  findContradiction: () => null,
};
