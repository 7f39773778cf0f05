/** How gradients become steps, other than by PyTorch's AdamW. */
import { Optimizer } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { defineVocabulary } from './vocabulary';

export const OPTIMIZERS = defineVocabulary<Optimizer>()({
  adamw_decay_after: { proto: Optimizer.OPTIMIZER_ADAMW_DECAY_AFTER },
});

export type OptimizerName = keyof typeof OPTIMIZERS;
