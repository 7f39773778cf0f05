/** A T5 of random weights in a Hugging Face directory, none of its tensors at a neutral value. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { elements, encodeSafetensors } from '../../common/safetensors';
import { seededRandom } from '../../orchestrator/base/seeded-random';

const SIZES = { d: 32, f: 48, heads: 4, width: 6, encoder: 2, decoder: 3, words: 120 };

/** isGated: with the feed-forward blocks of T5 1.1, and words that are not those of the head. */
export function writeTinyT5(folder: string, isGated: boolean): string {
  mkdirSync(folder, { recursive: true });
  const { d, f, heads, width, words } = SIZES;
  const config = {
    model_type: 't5',
    architectures: ['T5ForConditionalGeneration'],
    is_encoder_decoder: true,
    vocab_size: words,
    d_model: d,
    d_kv: width,
    d_ff: f,
    num_layers: SIZES.encoder,
    num_decoder_layers: SIZES.decoder,
    num_heads: heads,
    relative_attention_num_buckets: 8,
    relative_attention_max_distance: 16,
    feed_forward_proj: isGated ? 'gated-gelu' : 'relu',
    tie_word_embeddings: !isGated,
    ...{ pad_token_id: 0, eos_token_id: 1, decoder_start_token_id: 0 },
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const random = seededRandom(7);
  const tensors = Object.entries(shapes(isGated)).map(([name, shape]) => {
    const around = name.includes('layer_norm') ? 1 : 0;
    const draw = () => around + 0.3 * (random() - 0.5);
    const data = Float32Array.from({ length: elements(shape) }, draw);
    return [name, { shape, data }] as const;
  });
  const file = encodeSafetensors(Object.fromEntries(tensors), { format: 'pt' });
  writeFileSync(join(folder, 'model.safetensors'), file);
  return folder;
}

function shapes(isGated: boolean): Record<string, number[]> {
  const { d, f, heads, width, words } = SIZES;
  const found: Record<string, number[]> = { 'shared.weight': [words, d] };
  if (isGated) found['lm_head.weight'] = [words, d];
  for (const stack of ['encoder', 'decoder'] as const) {
    found[`${stack}.final_layer_norm.weight`] = [d];
    for (let i = 0; i < SIZES[stack]; i++) {
      const attentions = ['SelfAttention', ...(stack === 'decoder' ? ['EncDecAttention'] : [])];
      attentions.forEach((attention, place) => {
        const at = `${stack}.block.${i}.layer.${place}`;
        for (const part of ['q', 'k', 'v'])
          found[`${at}.${attention}.${part}.weight`] = [heads * width, d];
        found[`${at}.${attention}.o.weight`] = [d, heads * width];
        found[`${at}.layer_norm.weight`] = [d];
      });
      const at = `${stack}.block.${i}.layer.${attentions.length}`;
      for (const part of isGated ? ['wi_0', 'wi_1'] : ['wi'])
        found[`${at}.DenseReluDense.${part}.weight`] = [f, d];
      found[`${at}.DenseReluDense.wo.weight`] = [d, f];
      found[`${at}.layer_norm.weight`] = [d];
    }
    const buckets = `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
    found[buckets] = [8, heads];
  }
  return found;
}
