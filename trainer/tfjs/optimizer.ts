/**
 * AdamW (Loshchilov & Hutter 2019) over one trial's flat vector. JavaScript is fast enough, as a
 * trial's own numbers are few compared with the backbone's work.
 */
import { Optimizer, type Train } from '../../gen/ts/sparse_adapter/trainer/v1/job';

/**
 * Moments of one trial, each as long as its parameters. `decayed`, `trained`: how many parameters,
 * from the first on, have weight decay, and are trained at all.
 */
export class AdamW {
  constructor(
    readonly firstMoment: Float32Array,
    readonly secondMoment: Float32Array,
    private readonly decayed: number,
    private readonly trained: number,
  ) {}

  /**
   * Updates in place, by the gradient times `clip`; step is the trial's step, counted from 1. See
   * Optimizer of job.proto.
   */
  update(
    parameters: Float32Array,
    gradient: Float32Array,
    clip: number,
    train: Train,
    step: number,
    rate: number,
  ): void {
    const { adamBeta1: beta1, adamBeta2: beta2, adamEpsilon: epsilon } = train;
    const { firstMoment, secondMoment } = this;
    const decaysAfter = train.optimizer === Optimizer.OPTIMIZER_ADAMW_DECAY_AFTER;
    const keep = 1 - rate * train.weightDecay;
    const correction = Math.sqrt(1 - beta2 ** step);
    // ε is added to the corrected root or, where weights decay after the update, to the root.
    const rootCorrection = decaysAfter ? 1 : correction;
    const stepSize = (rate / (1 - beta1 ** step)) * (decaysAfter ? correction : 1);
    for (let i = 0; i < this.trained; i++) {
      const g = gradient[i]! * clip;
      const first = firstMoment[i]! + (1 - beta1) * (g - firstMoment[i]!);
      const second = beta2 * secondMoment[i]! + (1 - beta2) * g * g;
      firstMoment[i] = first;
      secondMoment[i] = second;
      const update = (stepSize * first) / (Math.sqrt(second) / rootCorrection + epsilon);
      const kept = i < this.decayed ? keep : 1;
      const before = parameters[i]!;
      parameters[i] = decaysAfter ? (before - update) * kept : before * kept - update;
    }
  }
}

/** The factor that clips a gradient with this norm to maxNorm; 0 does not clip. */
export function clipFactor(norm: number, maxNorm: number): number {
  return maxNorm > 0 && norm > maxNorm ? maxNorm / norm : 1;
}

/** The Euclidean norm, summed in float64. */
export function euclideanNorm(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum);
}
