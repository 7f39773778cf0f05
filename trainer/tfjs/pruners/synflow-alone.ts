/** SynFlow by the official rules: each module alone (MASK_RULES_OFFICIAL in job.proto); float64. */
import { ACTIVATIONS, type ActivationName } from '../../../common/vocabulary/activations';
import { findWord } from '../../../common/vocabulary/vocabulary';
import { AdapterNorm, type Adapter } from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { normAt, scaleAt, type Site } from '../../host/adapter-parts';
import type { Shapes } from '../layout';
import type { Scores } from '../ranking';

const EPS = 1e-5;

type Tensors = Record<string, Float32Array>;

/**
 * |w · ∂R/∂w| of the prunable matrices, and ∂R/∂t of the modules' other tensors. R is the sum over
 * bottlenecks of the mean of what each, with a residual, returns for an all-ones input, with the
 * absolute value of every tensor.
 */
export function flowAlone(
  adapter: Adapter,
  shapes: Shapes,
  weights: Tensors,
  others: Tensors,
): { scores: Scores; gradients: Tensors } {
  const scores: Scores = {};
  const gradients: Tensors = {};
  for (const name of Object.keys(weights)) {
    if (!name.endsWith('.down.weight')) continue;
    const at = name.slice(0, -'.down.weight'.length);
    const read = (part: string): Float64Array | undefined => {
      const found = weights[`${at}.${part}`] ?? others[`${at}.${part}`];
      return found && Float64Array.from(found, Math.abs);
    };
    for (const [part, gradient] of Object.entries(flowBack(adapter, at, shapes[name]![0]!, read))) {
      const whole = `${at}.${part}`;
      if (whole in weights) {
        const own = weights[whole]!;
        scores[whole] = gradient.map((value, i) => Math.abs(own[i]! * value));
      } else gradients[whole] = Float32Array.from(gradient);
    }
  }
  return { scores, gradients };
}

/** ∂/∂t of a module's mean output, by the names of its tensors; r: its inner width. */
function flowBack(
  adapter: Adapter,
  at: string,
  r: number,
  read: (part: string) => Float64Array | undefined,
): Record<string, Float64Array> {
  const site: Site = at.endsWith('attention') ? 'attention' : 'ffn';
  const place = normAt(adapter, site);
  const [down, up] = [read('down.weight')!, read('up.weight')!];
  const d = down.length / r;
  // The norm of a constant is 0, so that its bias is left.
  const input =
    place === AdapterNorm.ADAPTER_NORM_BEFORE ? read('norm.bias')! : new Float64Array(d).fill(1);
  const before = apply(down, input, read('down.bias')!);
  const { value, slope } = NON_LINEARITIES[findWord(ACTIVATIONS, adapter.activation)!];
  const inner = before.map(value);
  const raw = apply(up, inner, read('up.bias')!);
  const s = read('scale')?.[0] ?? scaleAt(adapter, site);
  const found: Record<string, Float64Array> = {};
  // The mean's derivative, and that of the module's part of the sum.
  const ofOutput = new Float64Array(d).fill(1 / d);
  let ofScaled = ofOutput;
  if (place === AdapterNorm.ADAPTER_NORM_UPDATE) {
    const { normal, inverse } = normalize(raw.map((each) => s * each));
    const along = ofOutput.map((g, i) => g * read('norm.weight')![i]!);
    found['norm.weight'] = ofOutput.map((g, i) => g * normal[i]!);
    found['norm.bias'] = ofOutput;
    const [mean, with_] = [average(along), average(along.map((g, i) => g * normal[i]!))];
    ofScaled = along.map((g, i) => (g - mean - normal[i]! * with_) * inverse);
  }
  if (adapter.learnedScale && site === 'ffn')
    found.scale = Float64Array.of(ofScaled.reduce((sum, g, i) => sum + g * raw[i]!, 0));
  const ofRaw = ofScaled.map((g) => s * g);
  found['up.weight'] = outer(ofRaw, inner);
  found['up.bias'] = ofRaw;
  const ofInner = applyBack(up, ofRaw, r).map((g, i) => g * slope(before[i]!));
  found['down.weight'] = outer(ofInner, input);
  found['down.bias'] = ofInner;
  if (place === AdapterNorm.ADAPTER_NORM_BEFORE) {
    found['norm.weight'] = new Float64Array(d);
    found['norm.bias'] = applyBack(down, ofInner, d);
  }
  return found;
}

/** W x + b for W [b.length, x.length]. */
const apply = (w: Float64Array, x: Float64Array, b: Float64Array): Float64Array =>
  b.map((bias, o) => x.reduce((sum, value, i) => sum + w[o * x.length + i]! * value, bias));

/** Wᵀ g for W [g.length, inputs]. */
const applyBack = (w: Float64Array, g: Float64Array, inputs: number): Float64Array =>
  Float64Array.from({ length: inputs }, (_, i) =>
    g.reduce((sum, value, o) => sum + w[o * inputs + i]! * value, 0),
  );

/** g xᵀ, as a flat matrix. */
const outer = (g: Float64Array, x: Float64Array): Float64Array =>
  Float64Array.from({ length: g.length * x.length }, (_, i) => {
    return g[Math.floor(i / x.length)]! * x[i % x.length]!;
  });

const average = (x: Float64Array): number => x.reduce((sum, each) => sum + each, 0) / x.length;

function normalize(x: Float64Array): { normal: Float64Array; inverse: number } {
  const mean = average(x);
  const centred = x.map((each) => each - mean);
  const inverse = 1 / Math.sqrt(average(centred.map((each) => each * each)) + EPS);
  return { normal: centred.map((each) => each * inverse), inverse };
}

interface NonLinearity {
  value(this: void, x: number): number;
  slope(this: void, x: number): number;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
/** The normal distribution function. */
const distribution = (x: number): number => (1 + erf(x / Math.SQRT2)) / 2;

const NON_LINEARITIES: Record<ActivationName, NonLinearity> = {
  relu: { value: (x) => Math.max(x, 0), slope: (x) => (x > 0 ? 1 : 0) },
  gelu: {
    value: (x) => x * distribution(x),
    slope: (x) => distribution(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
  },
  swish: {
    value: (x) => x * sigmoid(x),
    slope: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
  },
};

/** By its Maclaurin series, in the form whose terms have one sign; inputs here are not negative. */
function erf(x: number): number {
  // Nearer to 1 than float64 tells.
  if (x > 6) return 1;
  let term = (2 * x) / Math.sqrt(Math.PI);
  let sum = term;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return sum * Math.exp(-x * x);
}
