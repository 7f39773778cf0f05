/** Where trials of the comparison are evaluated in the middle of their training. Pure. */
import { ConfigError } from '../base/errors';
import { stepsPerEpoch } from './steps-per-epoch';
import type { Plan, Trial } from './types';

/** A trial's evaluations on the way: each takes a training and a prediction of its own. */
const MOST = 100;

/**
 * The steps of each trial, growing, below its last. Those of a search have none: its rows are not
 * the ones that are compared, and its rungs are measured anyway.
 *
 * @throws ConfigError if they are too many
 */
export function evaluationsOf({
  evaluate,
  datasets,
}: Pick<Plan, 'evaluate' | 'datasets'>): (trial: Pick<Trial, 'dataset' | 'train'>) => number[] {
  if (evaluate === undefined) return () => [];
  const { every } = evaluate;
  const byDigest = new Map(datasets.map((dataset) => [dataset.digest, dataset]));
  return ({ dataset: digest, train }) => {
    const dataset = byDigest.get(digest)!;
    if (dataset.held_out !== undefined) return [];
    const epoch = Math.max(1, stepsPerEpoch(dataset, train));
    const length = every === 'epoch' ? epoch : every * train.total_steps;
    const steps = new Set<number>();
    for (let n = 1; ; n++) {
      // Without the rounding, 3 × 0.1 × 10 would be 3.0000000000000004, and the step 4.
      const step = Math.ceil(Number((n * length).toPrecision(12)));
      if (step >= train.total_steps) return [...steps];
      if (steps.size === MOST)
        throw new ConfigError({
          where: 'evaluate.every',
          message:
            `${dataset.task} would be evaluated more than ${MOST} times before its last step; ` +
            'must be a larger part of the training',
        });
      steps.add(step);
    }
  };
}
