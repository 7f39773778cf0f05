/** How a trial's tensors are drawn. */
import { elements } from '../../common/safetensors';
import {
  AdapterInit,
  PrefixInit,
  type Adapter,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { hasBackbone, initAt } from '../host/adapter-parts';
import { randomFor } from '../host/random';
import type { Backbone } from './backbone';
import { readOwnTensors } from './backbone-files';
import { normals, uniforms } from './draws';
import { isPrunable, makeViews, type Layout, type Shapes } from './layout';

const HEAD_STD = 0.02;

/**
 * The trial's initial weights as a flat vector. Each tensor is drawn by a generator keyed with
 * (seed, purpose, name). purpose is `init`, or `init again` for prunable weights that are redrawn
 * after masking. Tensors of the backbone, and those of the head that a pooler has, begin as they
 * are there.
 */
export function initialWeights(
  { seed, adapter }: Pick<Trial, 'seed' | 'adapter'>,
  layout: Layout,
  backbone: Backbone,
  redrawn: boolean,
): Float32Array {
  const flat = new Float32Array(layout.total);
  // Biases that are added to the backbone's have the same names.
  const inPlace = hasBackbone(adapter!)
    ? Object.keys(layout.shapes).filter((name) => name in backbone.ownShapes)
    : [];
  const own = readOwnTensors(backbone.path, backbone.modelType, inPlace);
  const { pooler } = backbone;
  for (const [name, view] of Object.entries(makeViews(layout.shapes, flat))) {
    const given = own.get(name);
    if (given !== undefined) view.set(given);
    else if (pooler !== undefined && name.startsWith('head.dense.'))
      view.set(name.endsWith('bias') ? pooler.bias : pooler.weight);
    else
      view.set(
        drawn(
          seed,
          redrawn && isPrunable(name) ? 'init again' : 'init',
          name,
          layout.shapes,
          adapter!,
        ),
      );
  }
  return flat;
}

function drawn(
  seed: number,
  purpose: string,
  name: string,
  shapes: Shapes,
  adapter: Adapter,
): Float32Array {
  const shape = shapes[name]!;
  const n = elements(shape);
  const random = randomFor(seed, purpose, name);
  const within = (inputs: number): Float32Array =>
    uniforms(n, -1 / Math.sqrt(inputs), 1 / Math.sqrt(inputs), random);
  if (adapter.prefixInit === PrefixInit.PREFIX_INIT_TORCH) {
    if (name === 'prefix.embedding') return normals(n, 1, random);
    // A bias, too, is drawn by the inputs of its matrix.
    if (name.startsWith('prefix.mlp.')) return within(shapes[name.replace('bias', 'weight')]![1]!);
  }
  if (name.endsWith('norm.weight')) return new Float32Array(n).fill(1);
  if (name.endsWith('.scale')) return new Float32Array(n).fill(adapter.scale);
  if (name.endsWith('bias')) return new Float32Array(n);
  if (name.startsWith('head.')) return normals(n, HEAD_STD, random);
  const init = initAt(adapter, name.includes('.ffn') ? 'ffn' : 'attention');
  if (init === AdapterInit.ADAPTER_INIT_GAUSSIAN || !isPrunable(name))
    return normals(n, adapter.initStd, random);
  if (name.endsWith('up.weight')) return new Float32Array(n);
  // Kaiming uniform with a = √5: bound √(6 / ((1 + 5) · fan_in)).
  return within(shape[1]!);
}
