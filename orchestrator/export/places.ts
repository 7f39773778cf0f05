/** Where a trial's tensors stand: from this project's names to those of Transformers' modules. */
import { UserError } from '../base/errors';
import { ENCODER_LAYER } from '../../common/vocabulary/encoder-layer';
import type { PlannedBackbone } from '../sweep/types';

/** A place in a block. */
export interface Place {
  /** null: an encoder's only stack. */
  stack: 'encoder' | 'decoder' | null;
  layer: number;
  /** Whether it is at the decoder's attention to the encoder. */
  isCross: boolean;
  /** As in tensor names: `query`, `ffn_in`, `attention`, `prefix`, … */
  site: string;
}

const NAME = /^(?:(encoder|decoder)\.)?layers\.(\d+)\.(cross_)?([a-z_]+)\.(.+)$/;

/** A tensor's place and its name there, such as `down.weight`; null for those of no block. */
export function parsePlace(name: string): { place: Place; part: string } | null {
  const [, stack, layer, cross, site, part] = NAME.exec(name) ?? [];
  if (layer === undefined) return null;
  const isCross = cross !== undefined;
  const place = { stack: (stack ?? null) as Place['stack'], layer: Number(layer), isCross };
  return { place: { ...place, site: site! }, part: part! };
}

/** The inverse: what the names of a place's tensors begin with, without the last dot. */
export function namePlace({ stack, layer, isCross, site }: Place): string {
  return `${stack === null ? '' : `${stack}.`}layers.${layer}.${isCross ? 'cross_' : ''}${site}`;
}

/** How a family of models calls its parts. */
export interface ModelNames {
  /** What names begin with in a model that has a head. */
  prefix: string;
  /** The block of a place. */
  nameBlock(place: Place): string;
  /** The module at a place, without the prefix: `encoder.layer.0.attention.self.query`. */
  nameModule(place: Place): string;
  /** What holds AdapterHub's bottleneck modules `adapters.<name>` of a place. */
  nameHolder(place: Place): string;
}

/**
 * @param isGated of T5: whether its feed-forward blocks have a gate
 * @throws UserError (exit 2) for a family without exports
 */
export function namesOf({ model_type }: PlannedBackbone, isGated: boolean): ModelNames {
  if (model_type === 'bert' || model_type === 'roberta') return nameEncoder(model_type);
  if (model_type === 'bart') return BART;
  if (model_type === 't5') return nameT5(isGated);
  throw new UserError(`a backbone with model_type ${model_type} cannot be exported`, 2);
}

function pick(names: Readonly<Record<string, string>>, site: string): string {
  const found = names[site];
  if (found === undefined) throw new Error(`${site} is not a place of this backbone`);
  return found;
}

function nameEncoder(modelType: string): ModelNames {
  const nameBlock = ({ layer }: Place) => `encoder.layer.${layer}`;
  return {
    prefix: `${modelType}.`,
    nameBlock,
    nameModule: (place) => `${nameBlock(place)}.${pick(ENCODER_LAYER, place.site)}`,
    nameHolder: (place) =>
      `${nameBlock(place)}.${place.site === 'attention' ? 'attention.output' : 'output'}`,
  };
}

const BART_ATTENTION: Readonly<Record<string, string>> = {
  query: '.q_proj',
  value: '.v_proj',
  attention_output: '.out_proj',
  attention_norm: '_layer_norm',
};
const BART_FFN: Readonly<Record<string, string>> = {
  ffn_in: 'fc1',
  ffn_out: 'fc2',
  ffn_norm: 'final_layer_norm',
};

const BART: ModelNames = {
  prefix: 'model.',
  nameBlock: ({ stack, layer }) => `${stack}.layers.${layer}`,
  nameModule(place) {
    const { site, isCross } = place;
    const within = Object.hasOwn(BART_FFN, site)
      ? pick(BART_FFN, site)
      : `${isCross ? 'encoder_attn' : 'self_attn'}${pick(BART_ATTENTION, site)}`;
    return `${this.nameBlock(place)}.${within}`;
  },
  nameHolder(place) {
    const attention = place.isCross ? 'cross_attention_adapters' : 'attention_adapters';
    return `${this.nameBlock(place)}.${place.site === 'attention' ? attention : 'output_adapters'}`;
  },
};

const T5_ATTENTION: Readonly<Record<string, string>> = { query: 'q', value: 'v' };

function nameT5(isGated: boolean): ModelNames {
  const ffn = { ffn_in: isGated ? 'wi_1' : 'wi', ffn_out: 'wo' };
  const nameBlock = ({ stack, layer }: Place) => `${stack}.block.${layer}`;
  const nameHolder = (place: Place) => {
    const { site, stack, isCross } = place;
    const last = stack === 'decoder' ? 2 : 1;
    return `${nameBlock(place)}.layer.${site.startsWith('ffn') ? last : isCross ? 1 : 0}`;
  };
  const nameWithin = ({ site, isCross }: Place) =>
    site.startsWith('ffn')
      ? `DenseReluDense.${pick(ffn, site)}`
      : `${isCross ? 'EncDecAttention' : 'SelfAttention'}.${pick(T5_ATTENTION, site)}`;
  return {
    prefix: '',
    nameBlock,
    nameHolder,
    nameModule: (place) => `${nameHolder(place)}.${nameWithin(place)}`,
  };
}
