import type { Plan, Trial } from '../../../orchestrator/sweep/types';
import { backbone, dataset, prune } from './plans';

export function plannedTrial(id: string, changes: Partial<Trial> = {}): Trial {
  return {
    id,
    task: 'mrpc',
    dataset: 'mrpc-digest',
    backbone: 'b'.repeat(64),
    adapter: {
      attention: 'sequential',
      ffn: 'sequential',
      attention_bottleneck: 64,
      ffn_bottleneck: 32,
      scale: 1,
      norm: 'before',
      activation: 'relu',
      init: 'gaussian',
      init_std: 0.02,
      lora_alpha: 0,
      prefix_hidden: 0,
      unfrozen: 'none',
    },
    prune: prune({ pruner: 'snip', sparsity: 0.4, scoring_rows: 128 }),
    train: {
      batch_size: 32,
      total_steps: 100,
      learning_rate: 1e-3,
      weight_decay: 0.1,
      warmup: 0.06,
      schedule: 'linear',
      max_grad_norm: 1,
      adam_beta1: 0.9,
      adam_beta2: 0.999,
      adam_epsilon: 1e-8,
      dropout: 0.1,
      attention_dropout: 0.05,
    },
    seed: 3,
    ...changes,
  };
}

/** A plan of one cohort of MRPC. */
export function tinyPlan(
  trials: Trial[] = [plannedTrial('t1'), plannedTrial('t2', { seed: 4 })],
): Plan {
  return {
    format: 3,
    sweep_id: 'tiny-00000000',
    name: 'tiny',
    profile: null,
    profile_reason: null,
    backbone: backbone(),
    datasets: [dataset('mrpc')],
    trials,
    cohorts: [{ id: 'c01-mrpc', dataset: 'mrpc-digest', trials: trials.map(({ id }) => id) }],
  };
}
