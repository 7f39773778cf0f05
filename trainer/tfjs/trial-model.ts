/** One trial in training: its weights, moments and mask, in CPU memory. */
import type { Tensor } from '../../common/safetensors';
import type { Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { StepPart, StepResult, TrialModel } from '../host/train';
import { makeViews, type Layout, type Shapes } from './layout';
import { lossAndGradient, type TrialParts } from './model';
import { AdamW, clipFactor, euclideanNorm } from './optimizer';

const PARTS = ['', 'first_moment.', 'second_moment.'];

/** Shapes of a checkpoint's tensors: parameters by name, and both moments. */
export function stateShapes({ shapes }: Layout): Shapes {
  return Object.fromEntries(
    PARTS.flatMap((part) =>
      Object.entries(shapes).map(([name, shape]) => [`${part}${name}`, shape]),
    ),
  );
}

export class TrainedTrial implements TrialModel {
  private readonly parameters: Float32Array;
  private readonly optimizer: AdamW;
  private readonly gradient: Float32Array;

  /**
   * start: weights before the first step (a flat vector, which the trial takes over), or a
   * checkpoint's state; mask: of the prunable weights.
   */
  constructor(
    private readonly trial: Trial,
    private readonly parts: TrialParts,
    private readonly mask: Uint8Array,
    start: Float32Array | Map<string, Tensor>,
  ) {
    const { layout } = parts;
    const [parameters, first, second] = PARTS.map((part) =>
      start instanceof Map ? flattened(layout, start, part) : new Float32Array(layout.total),
    );
    this.parameters = start instanceof Map ? parameters! : start;
    this.optimizer = new AdamW(first!, second!, layout.decayed, layout.trained);
    this.gradient = new Float32Array(layout.total);
    // step() clears the gradients of removed weights, so that they and their moments stay 0.
    clear(this.parameters, mask);
  }

  step(ofStep: readonly StepPart[], step: number, learningRate: number): StepResult {
    const { parts, parameters, gradient, mask } = this;
    const train = this.trial.train!;
    const views = Object.entries(makeViews(parts.layout.shapes, gradient));
    gradient.fill(0);
    let loss = 0;
    ofStep.forEach(({ rows, share }, part) => {
      const dropout = {
        ...{ seed: this.trial.seed, step, part },
        probability: train.dropout,
        attentionProbability: train.attentionDropout,
      };
      const found = lossAndGradient(
        parts,
        parameters,
        rows,
        (name) => !parts.layout.frozen.has(name),
        dropout,
      );
      loss += share * found.loss;
      for (const [name, view] of views) {
        // A frozen tensor has none.
        const own = found.gradients[name];
        own?.forEach((value, i) => (view[i]! += share * value));
      }
    });
    clear(gradient, mask);
    const gradientNorm = euclideanNorm(gradient);
    // If either is not finite, the trial ends, and its weights are never read.
    this.optimizer.update(
      parameters,
      gradient,
      clipFactor(gradientNorm, train.maxGradNorm),
      train,
      step,
      learningRate,
    );
    return { loss, gradientNorm };
  }

  state(): Record<string, Tensor> {
    const { firstMoment, secondMoment } = this.optimizer;
    const flats = [this.parameters, firstMoment, secondMoment];
    return Object.assign({}, ...PARTS.map((part, i) => this.named(flats[i]!, part))) as Record<
      string,
      Tensor
    >;
  }

  adapter(): Record<string, Tensor<Float32Array>> {
    return this.named(this.parameters, '');
  }

  dispose(): void {
    // Its tensors live only for a pass.
  }

  private named(flat: Float32Array, part: string): Record<string, Tensor<Float32Array>> {
    const { shapes } = this.parts.layout;
    const views = Object.entries(makeViews(shapes, flat));
    return Object.fromEntries(
      views.map(([name, view]) => [`${part}${name}`, { shape: shapes[name]!, data: view.slice() }]),
    );
  }
}

/** The flat vector of tensors named `prefix` + name. */
export function flattened(
  { shapes, total }: Layout,
  tensors: ReadonlyMap<string, Tensor>,
  prefix = '',
): Float32Array {
  const flat = new Float32Array(total);
  for (const [name, view] of Object.entries(makeViews(shapes, flat)))
    view.set(tensors.get(prefix + name)!.data as Float32Array);
  return flat;
}

function clear(values: Float32Array, mask: Uint8Array): void {
  for (let i = 0; i < mask.length; i++) if (mask[i] === 0) values[i] = 0;
}
