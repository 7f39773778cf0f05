/**
 * The model's operations with their gradients. Tensors are float32; their rows are tokens, or each
 * input row's first token.
 */
import { release, Value, type Tape } from './tape';
import { tf, uniformTensor, type Tensor } from './tensorflow';

/** A frozen x · Wᵀ + b, with its weight in both orientations, so that neither pass transposes. */
export interface FrozenLinear {
  /** Wᵀ [in, out]. */
  forward: Tensor;
  /** W [out, in]. */
  backward: Tensor;
  /** [out]. */
  bias: Tensor;
}

/** A projection of the backbone; weight, bias: trained ones in place of its own. */
export interface Projection {
  frozen: FrozenLinear;
  weight?: Value | undefined;
  bias?: Value | undefined;
}

/** A LayerNorm over the last dimension; weight, bias [d]. */
export interface Norm {
  weight: Value;
  bias: Value;
  eps: number;
}

const product = (a: Tensor, b: Tensor, transposeA = false, transposeB = false): Tensor =>
  tf.matMul(a, b, transposeA, transposeB);

/** x [n, in] · Wᵀ + b → [n, out]. */
export function frozenLinear(
  tape: Tape,
  x: Value,
  { forward, backward, bias }: FrozenLinear,
): Value {
  return tape.apply(
    [x],
    () => [tf.add(product(x.tensor, forward), bias)],
    (gradient) => [() => product(gradient, backward)],
  );
}

/** x [n, in] · Wᵀ + b → [n, out] of the backbone. */
export function project(tape: Tape, x: Value, { frozen, weight, bias }: Projection): Value {
  if (weight) return linear(tape, x, weight, bias ?? new Value(frozen.bias, false));
  if (!bias) return frozenLinear(tape, x, frozen);
  const unbiased = tape.apply(
    [x],
    () => [product(x.tensor, frozen.forward)],
    (gradient) => [() => product(gradient, frozen.backward)],
  );
  return replaced(unbiased, addRow(tape, unbiased, bias));
}

/**
 * x [n, in] · Wᵀ + b with a trained weight [out, in] and, if given, a trained bias [out]. The
 * gradient reads x.
 */
export function linear(tape: Tape, x: Value, weight: Value, bias?: Value): Value {
  return tape.apply(
    bias ? [x, weight, bias] : [x, weight],
    () => {
      const without = product(x.tensor, weight.tensor, false, true);
      return [bias ? tf.add(without, bias.tensor) : without];
    },
    (gradient) => [
      () => product(gradient, weight.tensor),
      () => product(gradient, x.tensor, true),
      () => tf.sum(gradient, 0),
    ],
  );
}

/** a + b, with the same shape. */
export function add(tape: Tape, a: Value, b: Value): Value {
  return tape.apply(
    [a, b],
    () => [tf.add(a.tensor, b.tensor)],
    (gradient) => [() => tf.clone(gradient), () => tf.clone(gradient)],
  );
}

/** x [n, d] + scale · b, with b [d] added to every row. */
export function addRow(tape: Tape, x: Value, b: Value, scale = 1): Value {
  return tape.apply(
    [x, b],
    () => [tf.add(x.tensor, scaled(b.tensor, scale))],
    (gradient) => [() => tf.clone(gradient), () => scaled(tf.sum(gradient, 0), scale)],
  );
}

/** scale · x. */
export function multiply(tape: Tape, x: Value, scale: number): Value {
  if (scale === 1) return x;
  return tape.apply(
    [x],
    () => [tf.mul(x.tensor, scale)],
    (gradient) => [() => tf.mul(gradient, scale)],
  );
}

/** s · x with a trained number s [1]. The gradient reads x. */
export function multiplyBy(tape: Tape, x: Value, s: Value): Value {
  return tape.apply(
    [x, s],
    () => [tf.mul(x.tensor, s.tensor)],
    (gradient) => [
      () => tf.mul(gradient, s.tensor),
      () => tf.reshape(tf.sum(tf.mul(gradient, x.tensor)), [1]),
    ],
  );
}

const scaled = (x: Tensor, scale: number): Tensor => (scale === 1 ? x.clone() : tf.mul(x, scale));

/** (x − mean) / √(variance + ε) · weight + bias over each row of x [n, d]. */
export function layerNorm(tape: Tape, x: Value, { weight, bias, eps }: Norm): Value {
  return tape.apply(
    [x, weight, bias],
    () => {
      const centred = tf.sub(x.tensor, tf.mean(x.tensor, 1, true));
      const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), eps));
      const normal = tf.mul(centred, inverse);
      return [tf.add(tf.mul(normal, weight.tensor), bias.tensor), normal, inverse];
    },
    (gradient, normal, inverse) => [
      () => {
        const inner = tf.mul(gradient, weight.tensor);
        const along = tf.mul(normal, tf.mean(tf.mul(inner, normal), 1, true));
        return tf.mul(tf.sub(tf.sub(inner, tf.mean(inner, 1, true)), along), inverse);
      },
      () => tf.sum(tf.mul(gradient, normal), 0),
      () => tf.sum(gradient, 0),
    ],
  );
}

/** A non-linearity: its value, and its derivative by the input. */
interface NonLinearity {
  value(x: Tensor): Tensor;
  slope(x: Tensor): Tensor;
}

const normalDistribution = (x: Tensor): Tensor =>
  tf.add(tf.mul(tf.erf(tf.mul(x, Math.SQRT1_2)), 0.5), 0.5);
const GELU_CUBIC = 0.044715;
const gelusTanh = (x: Tensor): Tensor =>
  tf.tanh(tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), GELU_CUBIC)), Math.sqrt(2 / Math.PI)));

export const NON_LINEARITIES = {
  /** max(x, 0). */
  relu: { value: (x) => tf.relu(x), slope: (x) => tf.step(x) },
  /** x · Φ(x), Φ the normal distribution function (Hendrycks & Gimpel 2016). */
  gelu: {
    value: (x) => tf.mul(x, normalDistribution(x)),
    slope: (x) => {
      const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
      return tf.add(normalDistribution(x), tf.mul(x, density));
    },
  },
  /** The same with Φ approximated by a tanh, like Transformers' `gelu_new`. */
  gelu_new: {
    value: (x) => tf.mul(tf.mul(x, 0.5), tf.add(gelusTanh(x), 1)),
    slope: (x) => {
      const t = gelusTanh(x);
      const inner = tf.mul(tf.add(tf.mul(tf.square(x), 3 * GELU_CUBIC), 1), Math.sqrt(2 / Math.PI));
      const bend = tf.mul(tf.mul(tf.mul(x, 0.5), tf.sub(1, tf.square(t))), inner);
      return tf.add(tf.mul(tf.add(t, 1), 0.5), bend);
    },
  },
  /** x · sigmoid(x). */
  swish: {
    value: (x) => tf.mul(x, tf.sigmoid(x)),
    slope: (x) => {
      const s = tf.sigmoid(x);
      return tf.mul(s, tf.add(tf.mul(x, tf.sub(1, s)), 1));
    },
  },
  tanh: { value: (x) => tf.tanh(x), slope: (x) => tf.sub(1, tf.square(tf.tanh(x))) },
} satisfies Record<string, NonLinearity>;

export type NonLinearityName = keyof typeof NON_LINEARITIES;

/** f(x). Computes f's slope, which is all that the gradient reads, so that x may be released. */
export function nonLinear(tape: Tape, x: Value, name: NonLinearityName): Value {
  const { value, slope } = NON_LINEARITIES[name];
  return tape.apply(
    [x],
    (kept) => (kept ? [value(x.tensor), slope(x.tensor)] : [value(x.tensor)]),
    (gradient, slopes) => [() => tf.mul(gradient, slopes)],
  );
}

/**
 * Sets each value of x to 0 with `probability` and divides the others by 1 − probability; key: the
 * draw's key.
 */
export function dropout(
  tape: Tape,
  x: Value,
  probability: number,
  key: readonly [number, number],
): Value {
  return tape.apply(
    [x],
    () => {
      const factors = dropoutFactors(x.tensor.shape, probability, key);
      return [tf.mul(x.tensor, factors), factors];
    },
    (gradient, factors) => [() => tf.mul(gradient, factors)],
  );
}

/** 0 with `probability`, else 1 / (1 − probability). */
export function dropoutFactors(
  shape: number[],
  probability: number,
  key: readonly [number, number],
): Tensor {
  return tf.mul(
    tf.cast(tf.greaterEqual(uniformTensor(shape, key), probability), 'float32'),
    1 / (1 - probability),
  );
}

/** Some columns of x [n, d], from `begin` on. */
export function takeColumns(tape: Tape, x: Value, begin: number, columns: number): Value {
  const [rows, width] = x.tensor.shape as [number, number];
  return tape.apply(
    [x],
    () => [tf.slice(x.tensor, [0, begin], [rows, columns])],
    (gradient) => [
      () =>
        tf.pad(gradient, [
          [0, 0],
          [begin, width - begin - columns],
        ]),
    ],
  );
}

/** Some rows of x [n, d]; rows: int32 [m]. */
export function takeRows(tape: Tape, x: Value, rows: Tensor): Value {
  return tape.apply(
    [x],
    () => [tf.gather(x.tensor, rows)],
    (gradient) => [() => tf.unsortedSegmentSum(gradient, rows as never, x.tensor.shape[0])],
  );
}

/** Frees x, from which `made` was computed, unless they are the same. */
export function replaced(x: Value, made: Value): Value {
  if (x !== made) release(x);
  return made;
}
