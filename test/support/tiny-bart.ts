/**
 * A BART of random weights, small enough to generate texts in a test, in a Hugging Face directory.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { elements, encodeSafetensors } from '../../common/safetensors';
import { seededRandom } from '../../orchestrator/base/seeded-random';

export const BART = {
  d: 32,
  f: 48,
  encoderLayers: 2,
  decoderLayers: 2,
  words: 120,
  positions: 64,
  begin: 0,
  padding: 1,
  end: 2,
};
/** Rows that Transformers' table of positions has before that of the first one. */
const POSITION_OFFSET = 2;

/**
 * Writes the directory: config.json and model.safetensors, with the names and shapes that
 * Transformers' BartForConditionalGeneration has; with other tables of words and positions for a
 * tokenizer of another model.
 */
export function writeTinyBart(
  folder: string,
  { words, positions }: Pick<typeof BART, 'words' | 'positions'> = BART,
): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({
      ...{
        model_type: 'bart',
        architectures: ['BartForConditionalGeneration'],
        is_encoder_decoder: true,
        vocab_size: words,
      },
      ...{
        d_model: BART.d,
        encoder_ffn_dim: BART.f,
        decoder_ffn_dim: BART.f,
        max_position_embeddings: positions,
      },
      ...{ encoder_layers: BART.encoderLayers, decoder_layers: BART.decoderLayers },
      ...{ encoder_attention_heads: 4, decoder_attention_heads: 4, activation_function: 'gelu' },
      ...{
        bos_token_id: BART.begin,
        pad_token_id: BART.padding,
        eos_token_id: BART.end,
        decoder_start_token_id: BART.end,
      },
    }),
  );
  const random = seededRandom(5);
  const tensors = Object.entries(shapes(words, positions)).map(([name, shape]) => {
    const size = elements(shape);
    // Uniform, with a standard deviation of 0.3; norms around 1, so that no layer shrinks what it
    // gets.
    const around = /norm.*\.weight$/.test(name) ? 1 : 0;
    const data = Float32Array.from({ length: size }, () => around + (random() - 0.5) * 1.04);
    return [name, { shape, data }] as const;
  });
  writeFileSync(
    join(folder, 'model.safetensors'),
    encodeSafetensors(Object.fromEntries(tensors), { format: 'pt' }),
  );
  return folder;
}

type Shapes = Record<string, number[]>;

function shapes(words: number, positions: number): Shapes {
  const { d, f } = BART;
  const dense = (name: string, out: number, from: number): Shapes => ({
    [`${name}.weight`]: [out, from],
    [`${name}.bias`]: [out],
  });
  const norm = (name: string): Shapes => ({ [`${name}.weight`]: [d], [`${name}.bias`]: [d] });
  const projection = (name: string) => dense(name, d, d);
  const attention = (name: string): Shapes => ({
    ...{
      ...projection(`${name}.q_proj`),
      ...projection(`${name}.k_proj`),
      ...projection(`${name}.v_proj`),
    },
    ...{ ...projection(`${name}.out_proj`), ...norm(`${name}_layer_norm`) },
  });
  const layer = (name: string, hasCrossAttention: boolean): Shapes => ({
    ...{
      ...attention(`${name}.self_attn`),
      ...(hasCrossAttention ? attention(`${name}.encoder_attn`) : {}),
    },
    ...{
      ...dense(`${name}.fc1`, f, d),
      ...dense(`${name}.fc2`, d, f),
      ...norm(`${name}.final_layer_norm`),
    },
  });
  const stack = (name: string, layers: number): Shapes => {
    const parts = Array.from({ length: layers }, (_, i) =>
      Object.entries(layer(`model.${name}.layers.${i}`, name === 'decoder')),
    );
    return {
      [`model.${name}.embed_positions.weight`]: [positions + POSITION_OFFSET, d],
      ...norm(`model.${name}.layernorm_embedding`),
      ...Object.fromEntries(parts.flat()),
    };
  };
  return {
    'model.shared.weight': [words, d],
    final_logits_bias: [1, words],
    ...{ ...stack('encoder', BART.encoderLayers), ...stack('decoder', BART.decoderLayers) },
  };
}
