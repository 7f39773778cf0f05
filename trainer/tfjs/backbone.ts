/** The pretrained model: BERT and RoBERTa encoders from a Hugging Face directory. */
import { ENCODER_LAYER } from '../../common/vocabulary/encoder-layer';
import { BackboneWeights, EMBEDDINGS, listOwnShapes, readConfig } from './backbone-files';
import type { NonLinearityName, Norm, Projection } from './operations';
import { Value } from './tape';
import { tf, type Tensor } from './tensorflow';

/** One encoder layer. Queries come scaled by 1 / √dim. */
export interface Layer {
  query: Projection;
  key: Projection;
  value: Projection;
  attentionOutput: Projection;
  attentionNorm: Norm;
  ffnIn: Projection;
  ffnOut: Projection;
  ffnNorm: Norm;
}

/**
 * A loaded encoder. hidden: d; inner: f of the feed-forward block; longest: maximum tokens per row;
 * word, position, tokenType: embedding tables; pooler: the initial head.dense, [d, d] and [d].
 * ownShapes: of the tensors that can be trained in place, by name, as UNFROZEN_ALL of job.proto has
 * them.
 */
export interface Backbone {
  path: string;
  modelType: string;
  hidden: number;
  inner: number;
  heads: number;
  activation: NonLinearityName;
  vocabulary: number;
  tokenTypes: number;
  longest: number;
  positionOffset: number;
  paddingToken: number;
  word: Value;
  position: Value;
  tokenType: Value;
  embeddingNorm: Norm;
  layers: Layer[];
  ownShapes: Record<string, number[]>;
  pooler: { weight: Float32Array; bias: Float32Array } | undefined;
}

/** Transformers' default. */
const DEFAULT_EPS = 1e-12;

/**
 * @throws EngineFailure (BAD_ARTIFACT) if the directory is missing, broken, not finite or not
 *   supported
 */
export function loadBackbone(path: string): Backbone {
  const config = readConfig(path);
  const weights = new BackboneWeights(path, config.model_type);
  const upload = ({ data, shape }: { data: Float32Array; shape: readonly number[] }): Tensor =>
    tf.tensor(data, [...shape]);
  const tensor = (name: string): Tensor => upload(weights.read(name));
  const linear = (name: string, scale = 1): Projection => ({
    frozen: tf.tidy(() => {
      const weight = tf.mul(tensor(`${name}.weight`), scale);
      return {
        forward: tf.transpose(weight),
        backward: weight,
        bias: tf.mul(tensor(`${name}.bias`), scale),
      };
    }),
  });
  const eps = config.layer_norm_eps ?? DEFAULT_EPS;
  const norm = (name: string): Norm => ({
    weight: frozen(upload(weights.readNorm(name, 'weight'))),
    bias: frozen(upload(weights.readNorm(name, 'bias'))),
    eps,
  });
  const queryScale = findQueryScale(config.hidden_size, config.num_attention_heads);
  const layer = (index: number): Layer => {
    const at = (name: keyof typeof ENCODER_LAYER): string =>
      `encoder.layer.${index}.${ENCODER_LAYER[name]}`;
    return {
      query: linear(at('query'), queryScale),
      key: linear(at('key')),
      value: linear(at('value')),
      attentionOutput: linear(at('attention_output')),
      attentionNorm: norm(at('attention_norm')),
      ffnIn: linear(at('ffn_in')),
      ffnOut: linear(at('ffn_out')),
      ffnNorm: norm(at('ffn_norm')),
    };
  };
  // RoBERTa counts positions from padding_idx + 1.
  const isRoberta = config.model_type === 'roberta';
  const paddingToken = config.pad_token_id ?? (isRoberta ? 1 : 0);
  const positionOffset = isRoberta ? paddingToken + 1 : 0;
  const hasPooler = config.model_type === 'bert' && weights.has('pooler.dense.weight');
  return {
    path,
    modelType: config.model_type,
    hidden: config.hidden_size,
    inner: config.intermediate_size,
    heads: config.num_attention_heads,
    activation: config.hidden_act as NonLinearityName,
    vocabulary: config.vocab_size,
    tokenTypes: config.type_vocab_size,
    longest: config.max_position_embeddings - positionOffset,
    positionOffset,
    paddingToken,
    word: frozen(tensor(`${EMBEDDINGS.word}.weight`)),
    position: frozen(tensor(`${EMBEDDINGS.position}.weight`)),
    tokenType: frozen(tensor(`${EMBEDDINGS.token_type}.weight`)),
    embeddingNorm: norm(EMBEDDINGS.norm),
    layers: Array.from({ length: config.num_hidden_layers }, (_, i) => layer(i)),
    ownShapes: listOwnShapes(config),
    pooler: hasPooler
      ? {
          weight: weights.read('pooler.dense.weight').data,
          bias: weights.read('pooler.dense.bias').data,
        }
      : undefined,
  };
}

/** What a query is multiplied by: 1 / √dim, for the width of a head. */
export const findQueryScale = (hidden: number, heads: number): number =>
  1 / Math.sqrt(Math.trunc(hidden / heads));

/** Frees a backbone's tensors. */
export function disposeBackbone(backbone: Backbone): void {
  const norms = [
    backbone.embeddingNorm,
    ...backbone.layers.flatMap((layer) => [layer.attentionNorm, layer.ffnNorm]),
  ];
  const { word, position, tokenType } = backbone;
  tf.dispose([word, position, tokenType].map(({ tensor }) => tensor));
  tf.dispose(norms.flatMap(({ weight, bias }) => [weight.tensor, bias.tensor]));
  for (const { query, key, value, attentionOutput, ffnIn, ffnOut } of backbone.layers) {
    for (const { frozen } of [query, key, value, attentionOutput, ffnIn, ffnOut])
      tf.dispose([frozen.forward, frozen.backward, frozen.bias]);
  }
}

const frozen = (tensor: Tensor): Value => new Value(tensor, false);
