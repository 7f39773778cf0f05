/**
 * Reverse-mode differentiation with handwritten gradients, one for each operation in operations.ts.
 * Unlike tf.grads, it computes no gradients for frozen tensors, and frees every tensor as soon as
 * nothing will read it: a pass keeps only what its backward pass needs.
 */
import { tf, type Tensor } from './tensorflow';

/** A tensor of a pass. */
export class Value {
  /**
   * The loss's derivative, with the tensor's shape, while the backward pass is between the tensor's
   * readers and its maker.
   */
  gradient: Tensor | undefined;

  constructor(
    readonly tensor: Tensor,
    readonly needsGradient: boolean,
  ) {}
}

/** What an operation returns: its output, then what its gradient reads. */
type Outputs = [Tensor, ...Tensor[]];

/** For each input, in order: its gradient, with its shape. Called only for inputs that need one. */
type Gradients = (() => Tensor)[];

export class Tape {
  private readonly steps: (() => void)[] = [];

  /** recording: whether there will be a backward pass. */
  constructor(readonly recording: boolean) {}

  /**
   * Computes an operation. `compute` is told whether a gradient will be needed; if not, it need not
   * keep anything. Frees intermediate tensors of both functions.
   */
  apply(
    inputs: Value[],
    compute: (kept: boolean) => Outputs,
    gradients: (gradient: Tensor, ...kept: Tensor[]) => Gradients,
  ): Value {
    const needed = this.recording && inputs.some((input) => input.needsGradient);
    const [tensor, ...kept] = tf.tidy(() => compute(needed));
    const output = new Value(tensor, needed);
    if (!needed) {
      tf.dispose(kept);
      return output;
    }
    this.steps.push(() => {
      const { gradient } = output;
      if (gradient !== undefined) {
        const readers = inputs.flatMap((input, i) => (input.needsGradient ? [{ input, i }] : []));
        const found = tf.tidy(() => {
          const each = gradients(gradient, ...kept);
          return readers.map(({ i }) => each[i]!());
        });
        readers.forEach(({ input }, i) => accumulate(input, found[i]!));
        gradient.dispose();
        output.gradient = undefined;
      }
      // Everything that reads the output came after it, so those gradients are done.
      tf.dispose([tensor, ...kept]);
    });
    return output;
  }

  /**
   * Propagates the loss's derivative by `output`, with its shape, to every Value that it was made
   * from. The caller frees the leaves' gradients.
   */
  backward(output: Value, gradient: Tensor): void {
    output.gradient = gradient;
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) step();
  }
}

/**
 * Frees tensors that no later operation and no gradient reads. Gradients still flow through them.
 */
export function release(...values: Value[]): void {
  for (const value of values) value.tensor.dispose();
}

function accumulate(input: Value, gradient: Tensor): void {
  const before = input.gradient;
  input.gradient = before === undefined ? gradient : tf.add(before, gradient);
  if (before !== undefined) tf.dispose([before, gradient]);
}
