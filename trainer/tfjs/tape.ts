/**
 * Reverse-mode differentiation with the gradients written by hand, one for each operation of
 * operations.ts. Unlike tf.grads it computes no gradient of what is frozen, and frees every tensor
 * as soon as nothing will read it: a pass keeps what its backward needs, and nothing else.
 */
import { tf, type Tensor } from './tensorflow';

/** A tensor of a pass. */
export class Value {
  /**
   * The loss's derivative, of the tensor's shape, while the backward pass is between its readers
   * and its maker.
   */
  gradient: Tensor | undefined;

  constructor(
    readonly tensor: Tensor,
    readonly needsGradient: boolean,
  ) {}
}

/** What an operation gives: its output first, then what its gradient reads. */
type Outputs = [Tensor, ...Tensor[]];

/** For each input, in order: its gradient, of its shape. Called only for inputs that need one. */
type Gradients = (() => Tensor)[];

export class Tape {
  private readonly steps: (() => void)[] = [];

  /** recording: whether there will be a backward pass. */
  constructor(readonly recording: boolean) {}

  /**
   * Computes an operation. `compute` is told whether a gradient will be asked for, and need not
   * keep anything otherwise. Both functions' own tensors are freed.
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
      // All that read the output come after it, so their gradients are done.
      tf.dispose([tensor, ...kept]);
    });
    return output;
  }

  /**
   * From the loss's derivative by `output`, of its shape, to every Value that the output was made
   * of. Leaves' gradients are the caller's to free.
   */
  backward(output: Value, gradient: Tensor): void {
    output.gradient = gradient;
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) step();
  }
}

/**
 * Frees tensors that no operation to come and no gradient reads. Their own gradients still flow.
 */
export function release(...values: Value[]): void {
  for (const value of values) value.tensor.dispose();
}

function accumulate(input: Value, gradient: Tensor): void {
  const before = input.gradient;
  input.gradient = before === undefined ? gradient : tf.add(before, gradient);
  if (before !== undefined) tf.dispose([before, gradient]);
}
