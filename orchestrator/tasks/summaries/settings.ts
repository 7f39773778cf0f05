import { fraction, map, real, whole } from '../../config/schema-parts';
import type { GenerationConfig } from '../../sweep/types';
import type { RunFlag, SettingsSchema } from '../family';

export interface SummarySettings {
  /** Maximum tokens per target summary. */
  max_target_length: number;
  /** How summaries are written. */
  generation: GenerationConfig;
}

/** As in the scripts of He et al. (2022). */
const DEFAULT_MAX_TARGET_LENGTH = 128;
const DEFAULT_LABEL_SMOOTHING = 0.1;
/**
 * The values of SparseAdapter's script for XSum. In Transformers, min_length and max_length count
 * the token that decoding starts with. Here they do not, so that at most one more token is
 * generated.
 */
const DEFAULT_GENERATION: GenerationConfig = {
  beams: 6,
  min_length: 10,
  max_length: 60,
  no_repeat_ngram: 3,
  length_penalty: 1,
};

const generation = map({
  beams: whole(1, 1024).optional(),
  min_length: whole(0, 8192).optional(),
  max_length: whole(1, 8192).optional(),
  no_repeat_ngram: whole(0, 8192).optional(),
  length_penalty: real('a number', Number.isFinite).optional(),
});

const RUN_FLAGS: readonly RunFlag[] = [
  {
    flags: '--max-target-length <n>',
    description: 'summarization: maximum tokens per target summary',
    isWhole: true,
    path: ['max_target_length'],
  },
  {
    flags: '--label-smoothing <x>',
    description: 'summarization: label-smoothing factor',
    isWhole: false,
    path: ['train', 'label_smoothing'],
  },
  {
    flags: '--num-beams <n>',
    description: 'summarization: beams; 1 is greedy search',
    isWhole: true,
    path: ['generation', 'beams'],
  },
  {
    flags: '--min-length <n>',
    description: 'summarization: minimum generated tokens',
    isWhole: true,
    path: ['generation', 'min_length'],
  },
  {
    flags: '--max-length <n>',
    description:
      'summarization: maximum generated tokens; unlike in the published scripts, the start token ' +
      'does not count',
    isWhole: true,
    path: ['generation', 'max_length'],
  },
  {
    flags: '--no-repeat-ngram-size <n>',
    description: 'summarization: blocks repeated n-grams of this size; 0 disables',
    isWhole: true,
    path: ['generation', 'no_repeat_ngram'],
  },
  {
    flags: '--length-penalty <x>',
    description: 'summarization: scores are divided by length to this power',
    isWhole: false,
    path: ['generation', 'length_penalty'],
  },
];

interface Written {
  max_target_length?: number;
  generation?: Partial<GenerationConfig>;
}

export const summarySettings: SettingsSchema<SummarySettings> = {
  keys: { max_target_length: whole(2, 8192).optional(), generation: generation.optional() },
  trainKeys: { label_smoothing: fraction },
  trainDefaults: { label_smoothing: DEFAULT_LABEL_SMOOTHING },
  runFlags: RUN_FLAGS,
  refusedElsewhere: [['train', 'label_smoothing'], ['max_target_length'], ['generation']],
  complete: ({
    max_target_length = DEFAULT_MAX_TARGET_LENGTH,
    generation,
  }: Written): SummarySettings => ({
    max_target_length,
    generation: { ...DEFAULT_GENERATION, ...generation },
  }),
  chooseForTrials: ({ generation }) => ({ generation }),
  findContradiction({ generation: { min_length, max_length } }) {
    if (min_length <= max_length) return null;
    const numbers = `min_length ${min_length} is more than max_length ${max_length}`;
    return { path: ['generation'], reason: `${numbers}; must be at most that` };
  },
};
