/** Where trials of the comparison are evaluated in the middle of their training. Pure. */
import { stepsPerEpoch } from './steps-per-epoch';
import type { Plan, Trial } from './types';

/**
 * The steps of each trial, growing, below its last. Those of a search have none: its rows are not
 * the ones that are compared, and its rungs are measured anyway.
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
      steps.add(step);
    }
  };
}
