import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { planSweep } from '../../../orchestrator/sweep/plan';
import type { Plan, Trial } from '../../../orchestrator/sweep/types';
import { backbone, dataset } from './plans';

export const RATES = [0.0003, 0.001, 0.003] as const;

/**
 * The plan of a sweep of MRPC that chooses the learning rate of the dense adapter and of two
 * pruned ones with the seeds 101 and 102, and compares them with three others.
 */
export function searchPlan(): Plan {
  const held = {
    ...dataset('mrpc', { train: 3000, validation: 300 }),
    digest: 'mrpc-held-out',
    held_out: { fraction: 0.1 },
  };
  const whole = dataset('mrpc', { train: 3300 });
  const planWith = (learning_rate: number, seeds: number[], on: typeof held | typeof whole) =>
    planSweep(
      sweepConfigFrom('searched', {
        tasks: ['mrpc'],
        compare: [{ pruner: 'none' }, { pruner: 'snip', sparsity: [0.4, 0.8] }],
        seeds,
        train: { learning_rate, steps: 20 },
      }),
      {
        backbone: backbone(),
        datasets: [on],
        maxCohort: 8,
        defaultPrecision: 'float32',
        profileReason: null,
      },
    );
  const tried = RATES.map((rate) => planWith(rate, [101, 102], held));
  const compared = RATES.map((rate) => planWith(rate, [1, 2, 3], whole));
  const some = (trials: Trial[], variant: number, seeds: number) =>
    trials.slice(variant * seeds, (variant + 1) * seeds);
  const [first] = tried as [Plan];
  const trials = tried.flatMap((plan) => plan.trials);
  return {
    ...first,
    datasets: [whole, held],
    trials,
    cohorts: [
      { id: 'c01-mrpc', dataset: held.digest, trials: trials.map(({ id }) => id), max_minutes: 9 },
    ],
    search: {
      over: ['learning_rate'],
      max_cohort: 8,
      choices: [0, 1, 2].map((variant) => ({
        task: 'mrpc',
        candidates: RATES.map((learning_rate, i) => ({
          values: { learning_rate },
          trials: some(tried[i]!.trials, variant, 2).map(({ id }) => id),
          confirm: some(compared[i]!.trials, variant, 3),
        })),
      })),
    },
  };
}
