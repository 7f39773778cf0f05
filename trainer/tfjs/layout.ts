/**
 * The tensors of a trial: which exist, and in what order. They are views of one flat vector, laid
 * out as [prunable matrices | other matrices | biases and norms | tensors that
 * stay as they are drawn]. The mask covers the first part, weight decay the first two, training the
 * first three.
 */
import { elements } from '../../common/safetensors';
import { isNamed } from '../../common/vocabulary/tensor-names';
import type { LayerWidth } from '../../common/vocabulary/module-row';
import { LAYER_BIASES } from '../../common/vocabulary/unfrozen';
import {
  AdapterNorm,
  AttentionModule,
  PrefixUse,
  TaskKind,
  Unfrozen,
  type Adapter,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import {
  bottlenecks,
  findBottleneck,
  hasBackbone,
  listModules,
  normAt,
  rowAt,
} from '../host/adapter-parts';
import type { Backbone } from './backbone';

export type Shapes = Record<string, number[]>;

export interface Layout {
  /** By name, as in Adapter of job.proto, in the order of the flat vector. */
  shapes: Shapes;
  prunableShapes: Shapes;
  /** Names of tensors that stay as they are drawn. */
  frozen: ReadonlySet<string>;
  /**
   * Numbers of values: prunable weights, those with weight decay, all that is trained, the
   * adapter's trained tensors, the head's, all.
   */
  prunable: number;
  decayed: number;
  trained: number;
  adapter: number;
  head: number;
  total: number;
}

type Sizes = Pick<Backbone, 'hidden' | 'inner' | 'ownShapes'> & {
  layers: { readonly length: number };
};

export const isPrunable = (name: string): boolean => /(down|up)\.weight$/.test(name);

export const hasBiases = (adapter: Adapter): boolean =>
  adapter.unfrozen === Unfrozen.UNFROZEN_BIASES;

export const hasPrefix = (adapter: Adapter): boolean =>
  adapter.attention === AttentionModule.ATTENTION_MODULE_PREFIX;

export function buildLayout(
  adapter: Adapter,
  sizes: Sizes,
  numLabels: number,
  taskKind: TaskKind,
): Layout {
  const d = sizes.hidden;
  const all: [string, number[]][] = listTrained(adapter, Object.entries(sizes.ownShapes));
  for (let i = 0; i < sizes.layers.length; i++) {
    all.push(
      ...layerShapes(adapter, d, sizes.inner).map(([name, shape]): [string, number[]] => [
        `layers.${i}.${name}`,
        shape,
      ]),
    );
  }
  if (hasPrefix(adapter) && adapter.prefixHidden > 0) {
    const [h, out] = [adapter.prefixHidden, sizes.layers.length * 2 * d];
    all.push(
      ['prefix.embedding', [adapter.attentionBottleneck, d]],
      ...Object.entries({ 'prefix.mlp.in.weight': [h, d], 'prefix.mlp.in.bias': [h] }),
      ...Object.entries({ 'prefix.mlp.out.weight': [out, h], 'prefix.mlp.out.bias': [out] }),
    );
  }
  if (taskKind !== TaskKind.TASK_KIND_QUESTION_ANSWERING)
    all.push(['head.dense.weight', [d, d]], ['head.dense.bias', [d]]);
  all.push(['head.out.weight', [numLabels, d]], ['head.out.bias', [numLabels]]);
  const frozen = new Set(all.map(([name]) => name).filter((name) => isNamed(name, adapter.frozen)));
  const rank = ([name, shape]: [string, number[]]): number => {
    if (frozen.has(name)) return 3;
    if (isPrunable(name)) return 0;
    return shape.length === 2 || name.endsWith('.scale') ? 1 : 2;
  };
  const isOfHead = ([name]: [string, number[]]): boolean => name.startsWith('head.');
  all.sort((a, b) => rank(a) - rank(b));
  const count = (of: (entry: [string, number[]]) => boolean): number =>
    all.filter(of).reduce((sum, [, shape]) => sum + elements(shape), 0);
  return {
    shapes: Object.fromEntries(all),
    prunableShapes: Object.fromEntries(all.filter((entry) => rank(entry) === 0)),
    prunable: count((entry) => rank(entry) === 0),
    frozen,
    decayed: count((entry) => rank(entry) < 2),
    trained: count((entry) => rank(entry) < 3),
    adapter: count((entry) => rank(entry) < 3 && !isOfHead(entry)),
    head: count(isOfHead),
    total: count(() => true),
  };
}

/** Those of the backbone's own tensors that a trial trains in place. */
function listTrained(adapter: Adapter, own: [string, number[]][]): [string, number[]][] {
  if (!hasBackbone(adapter)) return [];
  const isWhole = adapter.unfrozen === Unfrozen.UNFROZEN_ALL;
  return own.filter(([name]) => isWhole || isNamed(name, adapter.unfrozenTensors));
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
    if (normAt(adapter, site) !== AdapterNorm.ADAPTER_NORM_NONE)
      shapes.push([`${site}.norm.weight`, [d]], [`${site}.norm.bias`, [d]]);
    if (adapter.learnedScale && site === 'ffn') shapes.push([`${site}.scale`, [1]]);
  }
  if (adapter.prefixUse === PrefixUse.PREFIX_USE_CROSS)
    shapes.push(['transform_norm.weight', [d]], ['transform_norm.bias', [d]]);
  if (hasPrefix(adapter) && adapter.prefixHidden === 0) {
    const shape = [adapter.attentionBottleneck, d];
    shapes.push(['prefix.key', shape], ['prefix.value', shape]);
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
