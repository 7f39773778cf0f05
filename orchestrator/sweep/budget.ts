import { isNamed } from '../../common/vocabulary/tensor-names';
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import type { AdapterNormName } from '../../common/vocabulary/adapter-norms';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import type { PrefixUseName } from '../../common/vocabulary/prefix-uses';
import { LAYER_BIASES } from '../../common/vocabulary/unfrozen';
import { attentionSize, layerGroups, listModules, unitSize } from './modules';
import type { AdapterConfig, Budget, PlannedBackbone, PruneConfig } from './types';

const BYTES_PER_WEIGHT = 4;

/**
 * An adapter's trained parameters, in weights: the prunable ones by matrix, and the others (biases,
 * norms, prefixes, the backbone's own) together.
 */
export interface AdapterSizes {
  matrices: number[];
  fixed: number;
}

type BackboneSizes = Pick<
  PlannedBackbone,
  | 'hidden_size'
  | 'attention_size'
  | 'intermediate_size'
  | 'num_layers'
  | 'decoder'
  | 'vocab_size'
  | 'max_position_embeddings'
  | 'type_vocab_size'
>;

/**
 * Counts the tensors that `Adapter` in job.proto lists.
 *
 * With d the hidden size, f the feed-forward block's inner width and r a module's bottleneck, each
 * layer has:
 * - for a bottleneck module, two matrices of d · r, biases of r + d, and 2 · d if it normalizes
 * - for LoRA beside attention, four matrices of d · r
 * - for LoRA beside the feed-forward block, two of d · r and two of f · r
 * - for a prefix without an MLP, 2 · r · d
 * - for biases, 6 · d + f
 * - for the whole backbone, also matrices and norm weights: 4 · d · d + 2 · d · f + 2 · d
 *
 * Once per adapter there are:
 * - for a prefix with an MLP of width h, r · d + (h · d + h) + layers · 2 · d · (h + 1)
 * - for a prompt, r · d
 * - for the whole backbone, its embeddings, (v + p + t) · d, and a norm of 2 · d
 *
 * In an encoder–decoder, each stack has its own f. A decoder layer has the attention module twice,
 * and biases of 10 · d + f. A prefix with an MLP has three: the encoder's, the decoder's
 * and the cross-attentions'.
 */
export function adapterSizes(adapter: AdapterConfig, backbone: BackboneSizes): AdapterSizes {
  const { hidden_size: d } = backbone;
  const groups = layerGroups(backbone);
  const matrices = listModules(adapter, backbone).flatMap(({ layers, units, inputs, outputs }) =>
    Array.from({ length: layers }, () => [units * inputs, outputs * units]).flat(),
  );
  const besides = (r: number, norm: AdapterNormName) => r + d + (norm === 'none' ? 0 : 2 * d);
  const layers = sum(groups.map((group) => group.layers));
  const [attention, ffn] = [ATTENTION_MODULES[adapter.attention], FFN_MODULES[adapter.ffn]];
  let fixed = unfrozenSize(adapter, backbone);
  if (attention.form === 'bottleneck')
    fixed +=
      attentionsIn(backbone) *
      besides(adapter.attention_bottleneck, adapter.attention_norm ?? adapter.norm);
  if (ffn.form === 'bottleneck')
    fixed +=
      layers * (besides(adapter.ffn_bottleneck, adapter.norm) + (adapter.learned_scale ? 1 : 0));
  if (adapter.prefix_use && NORMED_PREFIX_USES.includes(adapter.prefix_use))
    fixed += attentionsIn(backbone) * 2 * d;
  if (attention.form === 'prefix') fixed += prefixSize(adapter, backbone);
  if (attention.form === 'prompt') fixed += adapter.attention_bottleneck * d;
  return { matrices, fixed };
}

function attentionsIn(backbone: BackboneSizes): number {
  return sum(layerGroups(backbone).map(({ layers, attentions }) => layers * attentions.length));
}

function prefixSize(
  { attention_bottleneck: r, prefix_hidden: h }: AdapterConfig,
  backbone: BackboneSizes,
): number {
  const [d, a] = [backbone.hidden_size, attentionSize(backbone)];
  if (h === 0) return attentionsIn(backbone) * 2 * r * a;
  const mlps = sum(layerGroups(backbone).map(({ attentions }) => attentions.length));
  return mlps * (r * d + h * d + h) + attentionsIn(backbone) * 2 * a * (h + 1);
}

/** The uses of a prefix that have a norm of their own. */
const NORMED_PREFIX_USES: readonly PrefixUseName[] = [
  'cross',
  'cross_gated',
  'cross_relu_normed',
  'cross_relu_gated',
];

/** Tensors of the backbone, written as `Adapter` of job.proto says; `*` is any characters. */
function namedSize(patterns: readonly string[], backbone: BackboneSizes): number {
  const { hidden_size: d, intermediate_size: f, num_layers } = backbone;
  const rows = {
    word: backbone.vocab_size,
    position: backbone.max_position_embeddings,
    token_type: backbone.type_vocab_size,
  };
  const sizes: Record<string, number> = { 'embeddings.norm.weight': d, 'embeddings.norm.bias': d };
  for (const [name, count] of Object.entries(rows)) sizes[`embeddings.${name}.weight`] = count * d;
  for (let i = 0; i < num_layers; i += 1) {
    for (const name of ['query', 'key', 'value', 'attention_output'])
      sizes[`layers.${i}.${name}.weight`] = d * d;
    for (const name of ['ffn_in', 'ffn_out']) sizes[`layers.${i}.${name}.weight`] = d * f;
    for (const name of ['attention_norm', 'ffn_norm']) sizes[`layers.${i}.${name}.weight`] = d;
    for (const name of LAYER_BIASES) sizes[`layers.${i}.${name}.bias`] = name === 'ffn_in' ? f : d;
  }
  return sum(Object.entries(sizes).map(([name, size]) => (isNamed(name, patterns) ? size : 0)));
}

function unfrozenSize(
  { unfrozen, unfrozen_tensors }: AdapterConfig,
  backbone: BackboneSizes,
): number {
  if (unfrozen_tensors) return namedSize(unfrozen_tensors, backbone);
  const { hidden_size: d, intermediate_size: f, num_layers: layers } = backbone;
  const biases = sum(
    layerGroups(backbone).map(
      (group) => group.layers * (4 * d * group.attentions.length + 2 * d + group.intermediate_size),
    ),
  );
  if (unfrozen === 'biases') return biases;
  if (unfrozen === 'none') return 0;
  if (backbone.decoder !== undefined)
    throw new RangeError('an encoder–decoder is not fine-tuned as a whole: planning refuses it');
  const rows = backbone.vocab_size + backbone.max_position_embeddings + backbone.type_vocab_size;
  return rows * d + 2 * d + layers * (4 * d * d + 2 * d * f + 2 * d) + biases;
}

/**
 * Sizes of an adapter and its head, in weights, with `kept` as it will be after training.
 * `stored_bytes` counts the tensors of adapter_model.safetensors, zeros included, but not the
 * file's header (names and shapes).
 *
 * @param head weights of the head
 */
export function computeBudget(
  adapter: AdapterConfig,
  prune: PruneConfig,
  backbone: BackboneSizes,
  head: number,
): Budget {
  const { matrices, fixed } = adapterSizes(adapter, backbone);
  const kept =
    prune.structure === 'units'
      ? keptInUnits(adapter, prune, backbone)
      : keptOfMatrices(matrices, prune);
  const trainable = sum(matrices) + fixed;
  return {
    trainable,
    kept: kept + fixed,
    head,
    stored_bytes: BYTES_PER_WEIGHT * (trainable + head),
  };
}

/**
 * Scopes span all matrices or one each. N:M keeps the same part of each group, and so exactly that
 * part of each matrix.
 */
function keptOfMatrices(matrices: readonly number[], prune: PruneConfig): number {
  if (prune.structure === 'n_m') return (sum(matrices) / prune.group_size) * prune.group_kept;
  const keptIn = prune.rules === 'official' ? chooseOfficialKept(prune) : countKept;
  return prune.scope === 'local'
    ? sum(matrices.map((n) => keptIn(n, prune.sparsity)))
    : keptIn(sum(matrices), prune.sparsity);
}

/** A scope counts the units of all modules, which then have one size, or those of each module. */
function keptInUnits(
  adapter: AdapterConfig,
  { scope, sparsity }: PruneConfig,
  backbone: BackboneSizes,
): number {
  const modules = listModules(adapter, backbone);
  if (scope === 'local')
    return sum(
      modules.map((module) => module.layers * countKept(module.units, sparsity) * unitSize(module)),
    );
  return (
    countKept(sum(modules.map(({ layers, units }) => layers * units)), sparsity) *
    unitSize(modules[0]!)
  );
}

/** How many of n weights a scope keeps: the rule that trainers follow exactly. */
export function countKept(n: number, sparsity: number): number {
  return Math.floor((1 - sparsity) * n + 0.5);
}

/**
 * The same by the rules of the published code, if no scores are equal: it also cuts those equal to
 * the last one cut. It cuts (1 − density) · n, rounded up in a global scope and down in a local
 * one. A trainer computes density as 1 − sparsity.
 */
function chooseOfficialKept({ scope }: PruneConfig): typeof countKept {
  const round = scope === 'global' ? Math.ceil : Math.floor;
  return (n, sparsity) => n - round((1 - (1 - sparsity)) * n);
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
