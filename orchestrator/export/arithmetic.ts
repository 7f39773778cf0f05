/** The little tensor arithmetic of exports: sums in float64, results in float32. */
import type { Tensor } from '../../common/safetensors';
import type { Weights } from './trained-trial';

type Matrix = Tensor<Float32Array>;

/** scale · x. */
export function multiply({ shape, data }: Matrix, scale: number): Matrix {
  return scale === 1 ? { shape, data } : { shape, data: data.map((value) => value * scale) };
}

/** x + y, of equal shapes. */
export function add(x: Matrix, y: Matrix): Matrix {
  return { shape: x.shape, data: x.data.map((value, i) => value + y.data[i]!) };
}

/** weight [out, in] + scale · up [out, r] · down [r, in]. */
export function addLowRank(weight: Matrix, up: Matrix, down: Matrix, scale: number): Matrix {
  const [outputs, inputs] = weight.shape as [number, number];
  const r = down.shape[0]!;
  const data = new Float32Array(weight.data.length);
  const row = new Float64Array(inputs);
  for (let i = 0; i < outputs; i++) {
    row.fill(0);
    for (let k = 0; k < r; k++) {
      const factor = up.data[i * r + k]!;
      if (factor === 0) continue;
      for (let j = 0; j < inputs; j++) row[j]! += factor * down.data[k * inputs + j]!;
    }
    for (let j = 0; j < inputs; j++)
      data[i * inputs + j] = weight.data[i * inputs + j]! + scale * row[j]!;
  }
  return { shape: weight.shape, data };
}

/** x [n, in] · Wᵀ + b, [n, out]. */
function applyLinear(x: Matrix, weight: Matrix, bias: Matrix): Matrix {
  const [rows, inputs] = x.shape as [number, number];
  const outputs = weight.shape[0]!;
  const data = new Float32Array(rows * outputs);
  for (let n = 0; n < rows; n++)
    for (let i = 0; i < outputs; i++) {
      let sum = bias.data[i]!;
      for (let j = 0; j < inputs; j++)
        sum += x.data[n * inputs + j]! * weight.data[i * inputs + j]!;
      data[n * outputs + i] = sum;
    }
  return { shape: [rows, outputs], data };
}

/**
 * The keys and values that a prefix's MLP makes, [r, attentions · 2 · e]: attention after
 * attention, keys before values.
 *
 * @param at what the names of the MLP's tensors begin with: `prefix.`, `prefix.cross.`
 */
export function makePrefixes(weights: Weights, at: string): Matrix {
  const get = (name: string) => weights.get(`${at}${name}`)!;
  const inner = applyLinear(get('embedding'), get('mlp.in.weight'), get('mlp.in.bias'));
  inner.data.forEach((value, i) => (inner.data[i] = Math.tanh(value)));
  return applyLinear(inner, get('mlp.out.weight'), get('mlp.out.bias'));
}

/** LayerNorm over the last dimension of x [n, d]. */
export function normalize(x: Matrix, weight: Matrix, bias: Matrix, eps: number): Matrix {
  const [rows, d] = x.shape as [number, number];
  const data = new Float32Array(x.data.length);
  for (let n = 0; n < rows; n++) {
    const row = x.data.subarray(n * d, (n + 1) * d);
    const mean = row.reduce((sum, value) => sum + value, 0) / d;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / d;
    const factor = 1 / Math.sqrt(variance + eps);
    for (let j = 0; j < d; j++)
      data[n * d + j] = (row[j]! - mean) * factor * weight.data[j]! + bias.data[j]!;
  }
  return { shape: x.shape, data };
}
