/** The pretrained model: BERT and RoBERTa encoders from a Hugging Face directory. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeSafetensors,
  float32Tensor,
  type Tensor as FileTensor,
} from '../../common/safetensors';
import { FailureReason } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { requireFinite } from '../host/artifacts';
import { EngineFailure } from '../host/engine';
import { NON_LINEARITIES, type FrozenLinear, type NonLinearityName, type Norm } from './operations';
import { Value } from './tape';
import { tf, type Tensor } from './tensorflow';

export const ARCHITECTURES = ['bert', 'roberta'];

/** One encoder layer. Queries come scaled by 1 / √dim. */
export interface Layer {
  query: FrozenLinear;
  key: FrozenLinear;
  value: FrozenLinear;
  attentionOutput: FrozenLinear;
  attentionNorm: Norm;
  ffnIn: FrozenLinear;
  ffnOut: FrozenLinear;
  ffnNorm: Norm;
}

/**
 * A loaded encoder. hidden: d; inner: f of the feed-forward block; longest: maximum tokens per row;
 * pooler: the initial head.dense, [d, d] and [d].
 */
export interface Backbone {
  modelType: string;
  hidden: number;
  inner: number;
  heads: number;
  activation: NonLinearityName;
  vocabulary: number;
  tokenTypes: number;
  longest: number;
  positionOffset: number;
  word: Tensor;
  position: Tensor;
  tokenType: Tensor;
  embeddingNorm: Norm;
  layers: Layer[];
  pooler: { weight: Float32Array; bias: Float32Array } | undefined;
}

interface Config {
  model_type: string;
  hidden_size: number;
  intermediate_size: number;
  num_attention_heads: number;
  num_hidden_layers: number;
  vocab_size: number;
  type_vocab_size: number;
  max_position_embeddings: number;
  layer_norm_eps?: number;
  hidden_act?: string;
  pad_token_id?: number;
  position_embedding_type?: string | null;
}

/** Transformers' default. */
const DEFAULT_EPS = 1e-12;

/**
 * @throws EngineFailure (BAD_ARTIFACT) if the directory is missing, broken, not finite or not
 *   supported
 */
export function loadBackbone(path: string): Backbone {
  const config = readConfig(path);
  const weights = readWeights(path);
  const prefix = [...weights.keys()].some((name) => name.startsWith(`${config.model_type}.`))
    ? `${config.model_type}.`
    : '';
  const has = (name: string): boolean => weights.has(prefix + name);
  const read = (name: string): FileTensor<Float32Array> => {
    let tensor: FileTensor<Float32Array>;
    try {
      tensor = float32Tensor(weights, prefix + name);
    } catch (error) {
      const reason = has(name) ? (error as Error).message : `${prefix}${name} is missing`;
      throw bad(path, `its weights cannot be used: ${reason}`);
    }
    requireFinite(`backbone ${path}`, prefix + name, tensor.data);
    return tensor;
  };
  const tensor = (name: string): Tensor => {
    const { data, shape } = read(name);
    return tf.tensor(data, shape);
  };
  const linear = (name: string, scale = 1): FrozenLinear =>
    tf.tidy(() => {
      const weight = tf.mul(tensor(`${name}.weight`), scale);
      return {
        forward: tf.transpose(weight),
        backward: weight,
        bias: tf.mul(tensor(`${name}.bias`), scale),
      };
    });
  const eps = config.layer_norm_eps ?? DEFAULT_EPS;
  // Weights converted from TensorFlow's original checkpoints keep its names.
  const norm = (name: string): Norm => {
    const names = has(`${name}.gamma`) ? ['gamma', 'beta'] : ['weight', 'bias'];
    return {
      weight: frozen(tensor(`${name}.${names[0]}`)),
      bias: frozen(tensor(`${name}.${names[1]}`)),
      eps,
    };
  };
  const queryScale = 1 / Math.sqrt(Math.trunc(config.hidden_size / config.num_attention_heads));
  const layer = (at: string): Layer => ({
    query: linear(`${at}.attention.self.query`, queryScale),
    key: linear(`${at}.attention.self.key`),
    value: linear(`${at}.attention.self.value`),
    attentionOutput: linear(`${at}.attention.output.dense`),
    attentionNorm: norm(`${at}.attention.output.LayerNorm`),
    ffnIn: linear(`${at}.intermediate.dense`),
    ffnOut: linear(`${at}.output.dense`),
    ffnNorm: norm(`${at}.output.LayerNorm`),
  });
  // RoBERTa counts positions from padding_idx + 1.
  const positionOffset = config.model_type === 'roberta' ? (config.pad_token_id ?? 1) + 1 : 0;
  const hasPooler = config.model_type === 'bert' && has('pooler.dense.weight');
  return {
    modelType: config.model_type,
    hidden: config.hidden_size,
    inner: config.intermediate_size,
    heads: config.num_attention_heads,
    activation: config.hidden_act as NonLinearityName,
    vocabulary: config.vocab_size,
    tokenTypes: config.type_vocab_size,
    longest: config.max_position_embeddings - positionOffset,
    positionOffset,
    word: tensor('embeddings.word_embeddings.weight'),
    position: tensor('embeddings.position_embeddings.weight'),
    tokenType: tensor('embeddings.token_type_embeddings.weight'),
    embeddingNorm: norm('embeddings.LayerNorm'),
    layers: Array.from({ length: config.num_hidden_layers }, (_, i) => layer(`encoder.layer.${i}`)),
    pooler: hasPooler
      ? { weight: read('pooler.dense.weight').data, bias: read('pooler.dense.bias').data }
      : undefined,
  };
}

/** Frees a backbone's tensors. */
export function disposeBackbone(backbone: Backbone): void {
  const norms = [
    backbone.embeddingNorm,
    ...backbone.layers.flatMap((layer) => [layer.attentionNorm, layer.ffnNorm]),
  ];
  tf.dispose([backbone.word, backbone.position, backbone.tokenType]);
  tf.dispose(norms.flatMap(({ weight, bias }) => [weight.tensor, bias.tensor]));
  for (const { query, key, value, attentionOutput, ffnIn, ffnOut } of backbone.layers) {
    for (const { forward, backward, bias } of [query, key, value, attentionOutput, ffnIn, ffnOut])
      tf.dispose([forward, backward, bias]);
  }
}

const frozen = (tensor: Tensor): Value => new Value(tensor, false);

function readConfig(path: string): Config {
  let config: Config;
  try {
    config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as Config;
  } catch (error) {
    throw bad(
      path,
      'its config.json cannot be read ' +
        `(${(error as Error).message}); a backbone is a Hugging Face directory`,
    );
  }
  if (!ARCHITECTURES.includes(config.model_type))
    throw bad(path, `model_type '${config.model_type}' is not one of ${ARCHITECTURES.join(', ')}`);
  const numbers = [
    'hidden_size',
    'intermediate_size',
    'num_attention_heads',
    'num_hidden_layers',
  ] as const;
  const counts = ['vocab_size', 'type_vocab_size', 'max_position_embeddings'] as const;
  for (const field of [...numbers, ...counts]) {
    if (!Number.isInteger(config[field]) || config[field] < 1)
      throw bad(path, `config.json's ${field} is ${config[field]}, not a whole number above 0`);
  }
  const positions = config.position_embedding_type ?? 'absolute';
  if (positions !== 'absolute')
    throw bad(path, `position_embedding_type '${positions}' is not 'absolute'`);
  config.hidden_act ??= 'gelu';
  if (!Object.hasOwn(NON_LINEARITIES, config.hidden_act)) {
    throw bad(
      path,
      `hidden_act '${config.hidden_act}' is not one of ${Object.keys(NON_LINEARITIES).join(', ')}`,
    );
  }
  return config;
}

/** All tensors of model.safetensors, or of the files that its index names. */
function readWeights(path: string): Map<string, FileTensor> {
  const index = join(path, 'model.safetensors.index.json');
  const whole = join(path, 'model.safetensors');
  try {
    if (existsSync(whole) || !existsSync(index)) return decodeSafetensors(readFileSync(whole));
    const { weight_map: shards } = JSON.parse(readFileSync(index, 'utf8')) as {
      weight_map: Record<string, string>;
    };
    const files = [...new Set(Object.values(shards))];
    return new Map(files.flatMap((file) => [...decodeSafetensors(readFileSync(join(path, file)))]));
  } catch (error) {
    throw bad(path, `its weights cannot be read: ${(error as Error).message}`);
  }
}

function bad(path: string, reason: string): EngineFailure {
  return new EngineFailure(
    FailureReason.FAILURE_REASON_BAD_ARTIFACT,
    `backbone ${path}: ${reason}`,
  );
}
