import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { planSweep } from '../../../orchestrator/sweep/plan';
import type { Plan, StopEarly } from '../../../orchestrator/sweep/types';
import { backbone, dataset } from './plans';

export const RATES = [0.0003, 0.001, 0.003] as const;

/**
 * The plan of a sweep of MRPC that chooses the learning rate of the dense adapter and of two
 * pruned ones with the seeds 101 and 102, and compares them with three others.
 */
export function searchPlan(
  seeds: readonly number[] = [1, 2, 3],
  stop_early?: StopEarly,
  rates: readonly number[] = RATES,
): Plan {
  const held = {
    ...dataset('mrpc', { train: 3000, validation: 300 }),
    digest: 'mrpc-held-out',
    held_out: { fraction: 0.1 },
  };
  const whole = dataset('mrpc', { train: 3300 });
  return planSweep(
    sweepConfigFrom('searched', {
      tasks: ['mrpc'],
      compare: [{ pruner: 'none' }, { pruner: 'snip', sparsity: [0.4, 0.8] }],
      seeds,
      train: { learning_rate: [...rates], steps: 20, max_minutes: 9 },
      search: { over: ['learning_rate'], seeds: [101, 102], ...(stop_early && { stop_early }) },
    }),
    {
      backbone: backbone(),
      datasets: [whole, held],
      maxCohort: 18,
      defaultPrecision: 'float32',
      profileReason: null,
    },
  );
}
