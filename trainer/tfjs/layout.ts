/**
 * The trained tensors of a trial: which exist, in what order, and how they are drawn. They are
 * views of one flat vector, laid out as [prunable matrices | other matrices | biases and norms].
 * The mask covers the first part, weight decay the first two.
 */
import { elements } from '../../common/safetensors';
import type { LayerWidth } from '../../common/vocabulary/module-row';
import { LAYER_BIASES } from '../../common/vocabulary/unfrozen';
import {
  AdapterInit,
  AdapterNorm,
  TaskKind,
  Unfrozen,
  type Adapter,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { findBottleneck, bottlenecks, listModules, rowAt } from '../host/adapter-parts';
import { randomFor } from '../host/random';
import type { Backbone } from './backbone';
import { normals, uniforms } from './draws';

const HEAD_STD = 0.02;

export type Shapes = Record<string, number[]>;

export interface Layout {
  /** By name, as in Adapter of job.proto, in the order of the flat vector. */
  shapes: Shapes;
  prunableShapes: Shapes;
  /** Numbers of values: prunable weights, weights of all matrices, adapter tensors, all. */
  prunable: number;
  decayed: number;
  adapter: number;
  total: number;
}

type Sizes = Pick<Backbone, 'hidden' | 'inner'> & { layers: { readonly length: number } };

export const isPrunable = (name: string): boolean => /(down|up)\.weight$/.test(name);

export const hasBiases = (adapter: Adapter): boolean =>
  adapter.unfrozen === Unfrozen.UNFROZEN_BIASES;

export function buildLayout(
  adapter: Adapter,
  sizes: Sizes,
  numLabels: number,
  taskKind: TaskKind,
): Layout {
  const d = sizes.hidden;
  const all: [string, number[]][] = [];
  for (let i = 0; i < sizes.layers.length; i++) {
    all.push(
      ...layerShapes(adapter, d, sizes.inner).map(([name, shape]): [string, number[]] => [
        `layers.${i}.${name}`,
        shape,
      ]),
    );
  }
  if (taskKind !== TaskKind.TASK_KIND_QUESTION_ANSWERING)
    all.push(['head.dense.weight', [d, d]], ['head.dense.bias', [d]]);
  all.push(['head.out.weight', [numLabels, d]], ['head.out.bias', [numLabels]]);
  const rank = ([name, shape]: [string, number[]]): number =>
    isPrunable(name) ? 0 : shape.length === 2 ? 1 : 2;
  all.sort((a, b) => rank(a) - rank(b));
  const count = (of: (entry: [string, number[]]) => boolean): number =>
    all.filter(of).reduce((sum, [, shape]) => sum + elements(shape), 0);
  return {
    shapes: Object.fromEntries(all),
    prunableShapes: Object.fromEntries(all.filter((entry) => rank(entry) === 0)),
    prunable: count((entry) => rank(entry) === 0),
    decayed: count((entry) => rank(entry) < 2),
    adapter: count(([name]) => !name.startsWith('head.')),
    total: count(() => true),
  };
}

/** Names within a layer, with shapes. */
function layerShapes(adapter: Adapter, d: number, f: number): [string, number[]][] {
  const widths: Record<LayerWidth, number> = { hidden: d, attention: d, inner: f };
  // Bottlenecks first, because ties between scores are broken by places in this order.
  const withModule = new Set([...bottlenecks(adapter), ...listModules(adapter)]);
  const shapes = [...withModule].flatMap((module) =>
    (rowAt(adapter, module)?.matrices ?? []).flatMap(
      ({ site, inputs, outputs }): [string, number[]][] => [
        [`${site}.down.weight`, [findBottleneck(adapter, module), widths[inputs]]],
        [`${site}.up.weight`, [widths[outputs], findBottleneck(adapter, module)]],
      ],
    ),
  );
  for (const site of bottlenecks(adapter)) {
    shapes.push([`${site}.down.bias`, [findBottleneck(adapter, site)]], [`${site}.up.bias`, [d]]);
    if (adapter.norm !== AdapterNorm.ADAPTER_NORM_NONE)
      shapes.push([`${site}.norm.weight`, [d]], [`${site}.norm.bias`, [d]]);
  }
  if (hasBiases(adapter))
    shapes.push(
      ...LAYER_BIASES.map((name): [string, number[]] => [
        `${name}.bias`,
        [name === 'ffn_in' ? f : d],
      ]),
    );
  return shapes;
}

/** The tensors of a flat vector by name, as views. */
export function makeViews<T extends Float32Array | Uint8Array>(
  shapes: Shapes,
  flat: T,
): Record<string, T> {
  let at = 0;
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const begin = at;
      at += elements(shape);
      return [name, flat.subarray(begin, at) as T];
    }),
  );
}

/**
 * The trial's initial weights as a flat vector. Each tensor is drawn by a generator keyed with
 * (seed, purpose, name). purpose is `init`, or `init again` for prunable weights that are redrawn
 * after masking.
 */
export function initialWeights(
  seed: number,
  adapter: Adapter,
  layout: Layout,
  pooler: Backbone['pooler'],
  redrawn: boolean,
): Float32Array {
  const flat = new Float32Array(layout.total);
  for (const [name, view] of Object.entries(makeViews(layout.shapes, flat))) {
    if (pooler !== undefined && name.startsWith('head.dense.'))
      view.set(name.endsWith('bias') ? pooler.bias : pooler.weight);
    else
      view.set(
        drawn(
          seed,
          redrawn && isPrunable(name) ? 'init again' : 'init',
          name,
          layout.shapes[name]!,
          adapter,
        ),
      );
  }
  return flat;
}

function drawn(
  seed: number,
  purpose: string,
  name: string,
  shape: number[],
  adapter: Adapter,
): Float32Array {
  const n = elements(shape);
  if (name.endsWith('norm.weight')) return new Float32Array(n).fill(1);
  if (name.endsWith('bias')) return new Float32Array(n);
  const random = randomFor(seed, purpose, name);
  if (name.startsWith('head.')) return normals(n, HEAD_STD, random);
  if (adapter.init === AdapterInit.ADAPTER_INIT_GAUSSIAN)
    return normals(n, adapter.initStd, random);
  if (name.endsWith('up.weight')) return new Float32Array(n);
  // Kaiming uniform with a = √5: bound √(6 / ((1 + 5) · fan_in)).
  const bound = 1 / Math.sqrt(shape[1]!);
  return uniforms(n, -bound, bound, random);
}
