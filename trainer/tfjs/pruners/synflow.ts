/**
 * SynFlow (Tanaka et al. 2020): how much of the flow through a trial's modules goes through each
 * weight. Needs no data and no backbone; in float64.
 */
import {
  AttentionModule,
  FfnModule,
  type Adapter,
} from '../../../gen/ts/sparse_adapter/trainer/v1/job';
import { bottlenecks, scaleAt } from '../../host/adapter-parts';
import type { Shapes } from '../layout';
import type { Scores } from '../ranking';
import type { Scorer } from './scorer';
import { flowAlone } from './synflow-alone';

export const synflow: Scorer = {
  // A round takes one row through the trial's modules.
  plannedRows: () => 1,
  // Down's gradient is read twice, and the first reading sets it to 0.
  published: { chooseWrittenLast: (down) => new Float64Array(down.length) },
  async score({ trial, layers, hidden, shapes, weights, others, isOfficial, passed, leave }) {
    await passed();
    if (!isOfficial) return synflowScores(trial.adapter!, layers, hidden, shapes, weights);
    const { scores, gradients } = flowAlone(trial.adapter!, shapes, weights, others);
    leave(gradients);
    return scores;
  },
};

/**
 * A vector, and a function that takes R's derivative by it back to the vectors and matrices that it
 * was made from.
 */
interface Flow {
  value: Float64Array;
  back(gradient: Float64Array): void;
}

/**
 * |w · ∂R/∂w| of the prunable matrices by name, with removed weights 0. R is as in PRUNER_SYNFLOW
 * of job.proto.
 */
export function synflowScores(
  adapter: Adapter,
  layers: number,
  hidden: number,
  shapes: Shapes,
  weights: Record<string, Float32Array>,
): Scores {
  const magnitudes = Object.fromEntries(
    Object.entries(weights).map(([name, values]) => [name, Float64Array.from(values, Math.abs)]),
  );
  const scores = Object.fromEntries(
    Object.entries(weights).map(([name, { length }]) => [name, new Float64Array(length)]),
  );

  /** W x, for W [out, in]. */
  const product = (name: string, x: Flow): Flow => {
    const w = magnitudes[name]!;
    const [out, inputs] = shapes[name] as [number, number];
    const value = new Float64Array(out);
    for (let o = 0, at = 0; o < out; o++) {
      let sum = 0;
      for (let i = 0; i < inputs; i++, at++) sum += w[at]! * x.value[i]!;
      value[o] = sum;
    }
    const back = (gradient: Float64Array): void => {
      const score = scores[name]!;
      const into = new Float64Array(inputs);
      for (let o = 0, at = 0; o < out; o++) {
        for (let i = 0; i < inputs; i++, at++) {
          const through = w[at]! * gradient[o]!;
          into[i]! += through;
          // Each matrix occurs only once.
          score[at] = through * x.value[i]!;
        }
      }
      x.back(into);
    };
    return { value, back };
  };
  const module = (site: string, x: Flow): Flow =>
    product(`${site}.up.weight`, product(`${site}.down.weight`, x));
  const times = (scale: number, x: Flow): Flow => ({
    value: x.value.map((value) => scale * value),
    back: (gradient) => x.back(gradient.map((value) => scale * value)),
  });
  /** The sum of x and its branches. The derivative by x is the sum over all paths. */
  const residual = (x: Flow, branches: (from: Flow) => Flow[]): Flow => {
    const collected = new Float64Array(x.value.length);
    const collect = (gradient: Float64Array): void =>
      gradient.forEach((value, i) => (collected[i]! += value));
    const made = branches({ value: x.value, back: collect });
    return {
      value: x.value.map((value, i) => made.reduce((sum, branch) => sum + branch.value[i]!, value)),
      back: (gradient) => {
        collect(gradient);
        for (const branch of made) branch.back(gradient);
        x.back(collected);
      },
    };
  };

  let x: Flow = { value: new Float64Array(hidden).fill(1), back: () => undefined };
  for (let layer = 0; layer < layers; layer++) {
    const at = `layers.${layer}.`;
    const besideAttention = adapter.loraAlpha / adapter.attentionBottleneck;
    const besideFfn = adapter.loraAlpha / adapter.ffnBottleneck;
    if (bottlenecks(adapter).includes('attention'))
      x = residual(x, (from) => [
        times(scaleAt(adapter, 'attention'), module(`${at}attention`, from)),
      ]);
    if (adapter.attention === AttentionModule.ATTENTION_MODULE_LORA) {
      x = residual(x, (from) =>
        ['query', 'value'].map((site) => times(besideAttention, module(`${at}${site}`, from))),
      );
    }
    if (bottlenecks(adapter).includes('ffn'))
      x = residual(x, (from) => [times(scaleAt(adapter, 'ffn'), module(`${at}ffn`, from))]);
    if (adapter.ffn === FfnModule.FFN_MODULE_LORA) {
      x = residual(x, (from) => [
        times(besideFfn, module(`${at}ffn_out`, times(besideFfn, module(`${at}ffn_in`, from)))),
      ]);
    }
  }
  x.back(new Float64Array(hidden).fill(1));
  return scores;
}
