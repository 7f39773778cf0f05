/**
 * Training of the backbone's own tensors (UNFROZEN_ALL and unfrozen_tensors of job.proto): a
 * trial's copies replace the frozen ones.
 */
import { findQueryScale, type Backbone, type Layer } from './backbone';
import { multiply, type Norm, type Projection } from './operations';
import type { Tape, Value } from './tape';

/**
 * The backbone with a trial's tensors, named as in Adapter of job.proto, in place of its own.
 * Gradients reach them.
 */
export function trainedBackbone(
  tape: Tape,
  backbone: Backbone,
  tensors: Readonly<Record<string, Value>>,
): Backbone {
  const queryScale = findQueryScale(backbone.hidden, backbone.heads);
  // Weights are scaled, not results: a batch has more tokens than a matrix has columns.
  const scaled = (value: Value | undefined, scale: number): Value | undefined =>
    value && multiply(tape, value, scale);
  const dense = (at: string, { frozen }: Projection, scale = 1): Projection => ({
    frozen,
    weight: scaled(tensors[`${at}.weight`], scale),
    bias: scaled(tensors[`${at}.bias`], scale),
  });
  const norm = (at: string, frozen: Norm): Norm => ({
    weight: tensors[`${at}.weight`] ?? frozen.weight,
    bias: tensors[`${at}.bias`] ?? frozen.bias,
    eps: frozen.eps,
  });
  const layer = (own: Layer, index: number): Layer => {
    const at = `layers.${index}`;
    return {
      query: dense(`${at}.query`, own.query, queryScale),
      key: dense(`${at}.key`, own.key),
      value: dense(`${at}.value`, own.value),
      attentionOutput: dense(`${at}.attention_output`, own.attentionOutput),
      attentionNorm: norm(`${at}.attention_norm`, own.attentionNorm),
      ffnIn: dense(`${at}.ffn_in`, own.ffnIn),
      ffnOut: dense(`${at}.ffn_out`, own.ffnOut),
      ffnNorm: norm(`${at}.ffn_norm`, own.ffnNorm),
    };
  };
  return {
    ...backbone,
    word: tensors['embeddings.word.weight'] ?? backbone.word,
    position: tensors['embeddings.position.weight'] ?? backbone.position,
    tokenType: tensors['embeddings.token_type.weight'] ?? backbone.tokenType,
    embeddingNorm: norm('embeddings.norm', backbone.embeddingNorm),
    layers: backbone.layers.map(layer),
  };
}
