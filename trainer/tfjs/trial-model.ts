/** One trial in training: its weights, moments and mask, in CPU memory. */
import type { Tensor } from '../../common/safetensors';
import type { Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { StepPart } from '../host/step-parts';
import type { PrunedModel, StepResult, TrialModel } from '../host/training';
import { isDuringTraining } from '../host/trial-files';
import { makeViews, type Layout, type Shapes } from './layout';
import { lossAndGradient, type TrialParts } from './model';
import { AdamW, clipFactor, euclideanNorm } from './optimizer';

const PARTS = ['', 'first_moment.', 'second_moment.'];

const MASK = 'mask.';

/**
 * Shapes of a checkpoint's tensors: parameters by name, both moments and, of a trial that is pruned
 * during training, the masks.
 */
export function stateShapes({ shapes, prunableShapes }: Layout, { prune }: Trial): Shapes {
  const parts = PARTS.map((part) => [part, shapes] as const);
  const all = isDuringTraining(prune!) ? [...parts, [MASK, prunableShapes] as const] : parts;
  return Object.fromEntries(
    all.flatMap(([part, own]) =>
      Object.entries(own).map(([name, shape]) => [`${part}${name}`, shape]),
    ),
  );
}

export class TrainedTrial implements TrialModel {
  /** With removed weights 0 or, if the trial keeps them, with their values beside the mask. */
  readonly parameters: Float32Array;
  /** Of a trial that is pruned during training. */
  pruning: PrunedModel | undefined;
  private readonly optimizer: AdamW;
  private readonly gradient: Float32Array;
  private leftOver: Float32Array | undefined;

  /**
   * start: weights before the first step (a flat vector, which the trial takes over), or a
   * checkpoint's state; mask: of the prunable weights.
   */
  constructor(
    private readonly trial: Trial,
    private readonly parts: TrialParts,
    readonly mask: Uint8Array,
    start: Float32Array | Map<string, Tensor>,
  ) {
    const { layout } = parts;
    const [parameters, first, second] = PARTS.map((part) =>
      start instanceof Map ? flattened(layout, start, part) : new Float32Array(layout.total),
    );
    this.parameters = start instanceof Map ? parameters! : start;
    this.optimizer = new AdamW(first!, second!, layout.decayed, layout.trained);
    this.gradient = new Float32Array(layout.total);
    if (start instanceof Map && isDuringTraining(trial.prune!)) {
      for (const [name, view] of Object.entries(makeViews(layout.prunableShapes, mask)))
        view.set(start.get(`${MASK}${name}`)!.data as Uint8Array);
    }
    this.remove(mask);
  }

  /** Trains with this mask from here on. */
  remove(mask: Uint8Array): void {
    this.mask.set(mask);
    if (this.trial.prune!.keepsRemovedWeights) return;
    // step() clears the gradients of removed weights, so that they and their moments stay 0.
    const { firstMoment, secondMoment } = this.optimizer;
    for (const each of [this.parameters, firstMoment, secondMoment]) clear(each, mask);
  }

  /** What is part of the next step's gradient, before clipping: each by name, all added. */
  addToNextGradient(left: readonly Readonly<Record<string, Float32Array>>[]): void {
    const sum = new Float32Array(this.parts.layout.total);
    const views = makeViews(this.parts.layout.shapes, sum);
    for (const some of left) {
      for (const [name, values] of Object.entries(some))
        values.forEach((value, i) => (views[name]![i]! += value));
    }
    this.leftOver = sum;
  }

  step(ofStep: readonly StepPart[], step: number, learningRate: number): StepResult {
    const { parts, parameters, gradient, mask } = this;
    const train = this.trial.train!;
    const views = Object.entries(makeViews(parts.layout.shapes, gradient));
    const weights = this.effective();
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
        weights,
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
    this.leftOver?.forEach((value, i) => (gradient[i]! += value));
    this.leftOver = undefined;
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
    const masks = Object.entries(this.pruning?.masks() ?? {});
    return Object.assign(
      Object.fromEntries(masks.map(([name, mask]) => [`${MASK}${name}`, mask])),
      ...PARTS.map((part, i) => this.named(flats[i]!, part)),
    ) as Record<string, Tensor>;
  }

  adapter(): Record<string, Tensor<Float32Array>> {
    return this.named(this.effective(), '');
  }

  dispose(): void {
    // Its tensors live only for a pass.
  }

  /** What forwards compute with: removed weights are 0. */
  private effective(): Float32Array {
    if (!this.trial.prune!.keepsRemovedWeights) return this.parameters;
    const weights = this.parameters.slice();
    clear(weights, this.mask);
    return weights;
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
