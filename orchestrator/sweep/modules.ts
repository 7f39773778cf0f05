/** An adapter's modules with prunable matrices, and the layers that contain them. Pure. */
import { ATTENTION_MODULES } from '../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../common/vocabulary/ffn-modules';
import type { LayerWidth, ModuleRow } from '../../common/vocabulary/module-row';
import type { AdapterConfig, PlannedBackbone } from './types';

/** Identical layers of a backbone. */
export interface LayerGroup {
  /** Prefix of their tensors' names; `<i>` stands for the layer. */
  at: string;
  layers: number;
  /** Inner width of the feed-forward block. */
  intermediate_size: number;
  /** Name prefix of each of a layer's attentions: a decoder layer has a cross-attention, too. */
  attentions: readonly string[];
}

/**
 * A pair of matrices: down [units, inputs] and up [outputs, units]. Unit j is row j of down and
 * column j of up.
 */
export interface PrunableModule {
  /** As in the tensors' names; `<i>` stands for the layer. */
  name: string;
  /** How many layers have it. */
  layers: number;
  /** r. */
  units: number;
  inputs: number;
  outputs: number;
}

type LayerSizes = Pick<
  PlannedBackbone,
  'hidden_size' | 'attention_size' | 'intermediate_size' | 'num_layers' | 'decoder'
>;

/** The encoder's layers and, in an encoder–decoder, the decoder's. */
export function layerGroups({ intermediate_size, num_layers, decoder }: LayerSizes): LayerGroup[] {
  const encoder = { layers: num_layers, intermediate_size, attentions: [''] };
  if (decoder === undefined) return [{ at: 'layers.<i>.', ...encoder }];
  return [
    { at: 'encoder.layers.<i>.', ...encoder },
    {
      at: 'decoder.layers.<i>.',
      layers: decoder.num_layers,
      intermediate_size: decoder.intermediate_size,
      attentions: ['', 'cross_'],
    },
  ];
}

/** Width of an attention's queries, keys and values. */
export function attentionSize({ hidden_size, attention_size = hidden_size }: LayerSizes): number {
  return attention_size;
}

/** The adapter's prunable modules, as job.proto lists their tensors. */
export function listModules(
  { attention, attention_bottleneck, ffn, ffn_bottleneck }: AdapterConfig,
  backbone: LayerSizes,
): PrunableModule[] {
  return layerGroups(backbone).flatMap(({ at, layers, intermediate_size, attentions }) => {
    const widths: Record<LayerWidth, number> = {
      hidden: backbone.hidden_size,
      attention: attentionSize(backbone),
      inner: intermediate_size,
    };
    const pairs = ({ matrices }: ModuleRow, which: string, units: number): PrunableModule[] =>
      matrices.map(({ site, inputs, outputs }) => ({
        name: `${at}${which}${site}`,
        layers,
        units,
        inputs: widths[inputs],
        outputs: widths[outputs],
      }));
    return [
      ...attentions.flatMap((which) =>
        pairs(ATTENTION_MODULES[attention], which, attention_bottleneck),
      ),
      ...pairs(FFN_MODULES[ffn], '', ffn_bottleneck),
    ];
  });
}

/** Weights of a unit: a row of down and a column of up. */
export function unitSize({ inputs, outputs }: PrunableModule): number {
  return inputs + outputs;
}
