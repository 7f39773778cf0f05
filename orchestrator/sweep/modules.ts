/** The modules of an adapter that have matrices to prune. Pure. */
import { isBottleneck } from '../config/adapter-kinds';
import type { AdapterConfig, PlannedBackbone } from './types';

/** A pair of matrices: down [units, inputs] and up [outputs, units]. Unit j is row j of down and column j of up. */
export interface PrunableModule {
  /** As in the tensors' names; `<i>` stands for the layer. */
  name: string;
  /** r. */
  units: number;
  inputs: number;
  outputs: number;
}

/** The modules of one layer, by the list of tensors in job.proto; all layers have the same. */
export function modulesOfLayer(
  { attention, attention_bottleneck, ffn, ffn_bottleneck }: AdapterConfig,
  { hidden_size: d, intermediate_size: f }: Pick<PlannedBackbone, 'hidden_size' | 'intermediate_size'>,
): PrunableModule[] {
  const modules: PrunableModule[] = [];
  const add = (site: string, units: number, inputs: number, outputs: number) =>
    modules.push({ name: `layers.<i>.${site}`, units, inputs, outputs });
  if (isBottleneck(attention)) add('attention', attention_bottleneck, d, d);
  if (attention === 'lora') {
    add('query', attention_bottleneck, d, d);
    add('value', attention_bottleneck, d, d);
  }
  if (isBottleneck(ffn)) add('ffn', ffn_bottleneck, d, d);
  if (ffn === 'lora') {
    add('ffn_in', ffn_bottleneck, d, f);
    add('ffn_out', ffn_bottleneck, f, d);
  }
  return modules;
}

/** Weights of a unit: a row of down and a column of up. */
export function unitSize({ inputs, outputs }: PrunableModule): number {
  return inputs + outputs;
}
