/** The files of a backbone's Hugging Face directory: its configuration, and its tensors by name. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeSafetensors,
  float32Tensor,
  type Tensor as FileTensor,
} from '../../common/safetensors';
import { ENCODER_LAYER } from '../../common/vocabulary/encoder-layer';
import { FailureReason } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { requireFinite } from '../host/artifacts';
import { EngineFailure } from '../host/engine';
import { NON_LINEARITIES } from './operations';

export const ARCHITECTURES = ['bert', 'roberta'];

export interface Config {
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

/** Transformers' names of what the embeddings have, by the names here. */
export const EMBEDDINGS = {
  word: 'embeddings.word_embeddings',
  position: 'embeddings.position_embeddings',
  token_type: 'embeddings.token_type_embeddings',
  norm: 'embeddings.LayerNorm',
} as const;

/** A backbone's tensors, float32. */
export class BackboneWeights {
  private readonly tensors: Map<string, FileTensor>;
  private readonly prefix: string;

  /** Throws EngineFailure (BAD_ARTIFACT) if they cannot be read. */
  constructor(
    private readonly path: string,
    modelType: string,
  ) {
    this.tensors = readWeights(path);
    const named = `${modelType}.`;
    this.prefix = [...this.tensors.keys()].some((name) => name.startsWith(named)) ? named : '';
  }

  has(name: string): boolean {
    return this.tensors.has(this.prefix + name);
  }

  /** Throws EngineFailure (BAD_ARTIFACT) if it is missing, of another type, or not finite. */
  read(name: string): FileTensor<Float32Array> {
    const whole = this.prefix + name;
    let tensor: FileTensor<Float32Array>;
    try {
      tensor = float32Tensor(this.tensors, whole);
    } catch (error) {
      const reason = this.has(name) ? (error as Error).message : `${whole} is missing`;
      throw bad(this.path, `its weights cannot be used: ${reason}`);
    }
    requireFinite(`backbone ${this.path}`, whole, tensor.data);
    return tensor;
  }

  /** A norm's weight or bias. Weights converted from TensorFlow's checkpoints keep its names. */
  readNorm(name: string, part: 'weight' | 'bias'): FileTensor<Float32Array> {
    if (!this.has(`${name}.gamma`)) return this.read(`${name}.${part}`);
    return this.read(`${name}.${part === 'weight' ? 'gamma' : 'beta'}`);
  }
}

/** Shapes of the tensors that can be trained in place, by name: UNFROZEN_ALL of job.proto. */
export function listOwnShapes(config: Config): Record<string, number[]> {
  const { hidden_size: d, intermediate_size: f } = config;
  const shapes: Record<string, number[]> = {
    'embeddings.word.weight': [config.vocab_size, d],
    'embeddings.position.weight': [config.max_position_embeddings, d],
    'embeddings.token_type.weight': [config.type_vocab_size, d],
    'embeddings.norm.weight': [d],
    'embeddings.norm.bias': [d],
  };
  for (let i = 0; i < config.num_hidden_layers; i++) {
    for (const name of Object.keys(ENCODER_LAYER)) {
      const out = name === 'ffn_in' ? f : d;
      const isNorm = name.endsWith('_norm');
      shapes[`layers.${i}.${name}.weight`] = isNorm ? [d] : [out, name === 'ffn_out' ? f : d];
      // A key's bias has no effect.
      if (name !== 'key') shapes[`layers.${i}.${name}.bias`] = [out];
    }
  }
  return shapes;
}

/**
 * The values of these tensors, named as in `listOwnShapes`, as the files have them. Throws
 * EngineFailure (BAD_ARTIFACT).
 */
export function readOwnTensors(
  path: string,
  modelType: string,
  names: readonly string[],
): Map<string, Float32Array> {
  if (names.length === 0) return new Map();
  const weights = new BackboneWeights(path, modelType);
  return new Map(names.map((name) => [name, readOwn(weights, name).data]));
}

function readOwn(weights: BackboneWeights, name: string): FileTensor<Float32Array> {
  const [, layer, module, part] = /^(?:embeddings|layers\.(\d+))\.(\w+)\.(weight|bias)$/.exec(
    name,
  )!;
  const at =
    layer === undefined
      ? EMBEDDINGS[module as keyof typeof EMBEDDINGS]
      : `encoder.layer.${layer}.${ENCODER_LAYER[module as keyof typeof ENCODER_LAYER]}`;
  if (/(^|_)norm$/.test(module!)) return weights.readNorm(at, part as 'weight' | 'bias');
  return weights.read(`${at}.${part}`);
}

/** Throws EngineFailure (BAD_ARTIFACT) if it is missing, broken or not supported. */
export function readConfig(path: string): Config {
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
