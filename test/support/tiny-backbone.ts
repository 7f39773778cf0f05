/**
 * A small encoder of random weights in a Hugging Face directory: BERT or RoBERTa with a pooler,
 * none of its tensors at a neutral value.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { elements, encodeSafetensors, type Tensor } from '../../common/safetensors';
import { seededRandom } from '../../orchestrator/base/seeded-random';

const SIZES = { hidden: 32, inner: 64, heads: 4, layers: 2, positions: 66, types: 2 };

/** vocabulary: tokens of the data set that it will read. */
export function writeTinyBackbone(
  folder: string,
  modelType: 'bert' | 'roberta',
  vocabulary: number,
  positions = SIZES.positions,
): void {
  const { hidden, inner, heads, layers, types } = SIZES;
  const random = seededRandom(3);
  const tensors: Record<string, Tensor> = {};
  const add = (name: string, shape: number[], around = 0, spread = 0.1): void => {
    const size = elements(shape);
    tensors[name] = {
      shape,
      data: Float32Array.from({ length: size }, () => around + spread * (2 * random() - 1)),
    };
  };
  const linear = (name: string, out: number, inputs: number): void => {
    add(`${name}.weight`, [out, inputs], 0, 0.3);
    add(`${name}.bias`, [out]);
  };
  const norm = (name: string): void => {
    add(`${name}.weight`, [hidden], 1);
    add(`${name}.bias`, [hidden]);
  };
  add('embeddings.word_embeddings.weight', [vocabulary, hidden], 0, 0.5);
  add('embeddings.position_embeddings.weight', [positions, hidden]);
  add('embeddings.token_type_embeddings.weight', [types, hidden]);
  norm('embeddings.LayerNorm');
  for (let i = 0; i < layers; i++) {
    const at = `encoder.layer.${i}`;
    for (const part of ['query', 'key', 'value'])
      linear(`${at}.attention.self.${part}`, hidden, hidden);
    linear(`${at}.attention.output.dense`, hidden, hidden);
    norm(`${at}.attention.output.LayerNorm`);
    linear(`${at}.intermediate.dense`, inner, hidden);
    linear(`${at}.output.dense`, hidden, inner);
    norm(`${at}.output.LayerNorm`);
  }
  linear('pooler.dense', hidden, hidden);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(tensors, { format: 'pt' }));
  const config = {
    model_type: modelType,
    architectures: [modelType === 'bert' ? 'BertModel' : 'RobertaModel'],
    hidden_size: hidden,
    intermediate_size: inner,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    vocab_size: vocabulary,
    type_vocab_size: types,
    max_position_embeddings: positions,
    layer_norm_eps: 1e-12,
    hidden_act: 'gelu',
    pad_token_id: modelType === 'bert' ? 0 : 1,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
}
