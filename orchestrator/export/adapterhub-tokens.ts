/** Prefixes and prompts in AdapterHub's form. */
import type { Tensor } from '../../common/safetensors';
import type { Part } from './adapterhub-part';
import { makePrefixes, normalize } from './arithmetic';
import { OpenBackbone } from './open-backbone';
import type { TrainedTrial } from './trained-trial';

/** The attentions of a kind: the library's name, and the names of the blocks' and MLPs' tensors. */
interface Attentions {
  key: string;
  layers: number;
  /** What a layer's key and value are called, without the last part. */
  at: (layer: number) => string;
  mlp: string;
}

function listAttentions({ num_layers, decoder }: TrainedTrial['backbone']): Attentions[] {
  if (decoder === undefined)
    return [
      {
        key: 'self_prefix',
        layers: num_layers,
        at: (layer) => `layers.${layer}.prefix`,
        mlp: 'prefix.',
      },
    ];
  const inDecoder = (key: string, cross: string, mlp: string): Attentions => ({
    key,
    layers: decoder.num_layers,
    at: (layer) => `decoder.layers.${layer}.${cross}prefix`,
    mlp,
  });
  return [
    {
      key: 'encoder_prefix',
      layers: num_layers,
      at: (layer) => `encoder.layers.${layer}.prefix`,
      mlp: 'prefix.encoder.',
    },
    inDecoder('self_prefix', '', 'prefix.decoder.'),
    inDecoder('cross_prefix', 'cross_', 'prefix.cross.'),
  ];
}

/** Keys and values themselves, also where an MLP has made them. */
export function listPrefix({ weights, trial, backbone }: TrainedTrial): Part {
  const { attention_bottleneck: length, prefix_hidden: hidden } = trial.adapter;
  const tensors = listAttentions(backbone).map(({ key, layers, at, mlp }): [string, Tensor] => {
    const { data } = hidden > 0 ? makePrefixes(weights, mlp) : gather(weights, length, layers, at);
    const name = `prefix_tuning.prefix_tunings.${trial.id}.${key}.control_trans`;
    return [name, { shape: [data.length], data }];
  });
  return {
    configs: [
      {
        architecture: 'prefix_tuning',
        prefix_length: length,
        flat: true,
        encoder_prefix: true,
        cross_prefix: true,
        bottleneck_size: 512,
        non_linearity: 'tanh',
        dropout: 0,
        init_weights_seed: null,
        leave_out: [],
        shared_gating: true,
        use_gating: false,
      },
    ],
    tensors,
    pairs: [],
    notes:
      hidden > 0
        ? ['The prefix is what its MLP has made; the MLP, needed only for training, is left out.']
        : [],
  };
}

/** Keys and values of all layers, [r, layers · 2 · e]. */
function gather(
  weights: TrainedTrial['weights'],
  length: number,
  layers: number,
  at: (layer: number) => string,
): { data: Float32Array } {
  const each = Array.from({ length: layers }, (_, layer) =>
    ['key', 'value'].map((part) => weights.get(`${at(layer)}.${part}`)!),
  ).flat();
  const e = each[0]!.shape[1]!;
  const data = new Float32Array(length * each.length * e);
  each.forEach(({ data: from }, index) => {
    for (let token = 0; token < length; token++)
      data.set(from.subarray(token * e, (token + 1) * e), (token * each.length + index) * e);
  });
  return { data };
}

/**
 * The library puts a prompt behind the first token, and behind the norm of the embeddings, through
 * which ours passes.
 */
export async function listPrompt(trained: TrainedTrial): Promise<Part> {
  const { weights, trial, backbone } = trained;
  const opened = await OpenBackbone.open(backbone);
  const prefix = `${backbone.model_type}.`;
  const { weight, bias } = opened.readNorm(`${prefix}embeddings.LayerNorm`, prefix);
  const eps = Number(opened.config.layer_norm_eps ?? 1e-12);
  const prompt = normalize(weights.get('prompt')!, weight, bias, eps);
  return {
    configs: [
      {
        architecture: 'prompt_tuning',
        prompt_length: trial.adapter.attention_bottleneck,
        combine: 'prefix_after_bos',
        prompt_init: 'random_uniform',
        prompt_init_text: null,
        random_uniform_scale: 0.5,
        init_weights_seed: null,
      },
    ],
    tensors: [[`prompt_tuning.prompt_tunings.${trial.id}.prompt_embedding.weight`, prompt]],
    pairs: [],
    notes: ['The prompt is written as the norm of the embeddings leaves it.'],
  };
}
