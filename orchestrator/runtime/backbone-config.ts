/**
 * Reads a backbone's sizes from its config.json, in which each family has its own names for them.
 */
import { z } from 'zod';
import { UserError } from '../base/errors';
import type { BackboneSizes, Layout } from './backbone-tensors';

const size = z.int().positive();

const encoder = z
  .object({
    model_type: z.string(),
    hidden_size: size,
    intermediate_size: size,
    num_hidden_layers: size,
    num_attention_heads: size.nullish(),
    vocab_size: size,
    max_position_embeddings: size,
    type_vocab_size: size,
    position_embedding_type: z.literal('absolute').nullish(),
  })
  .refine(
    ({ hidden_size, num_attention_heads }) => hidden_size % (num_attention_heads ?? 1) === 0,
    {
      path: ['num_attention_heads'],
      message: 'must divide hidden_size',
    },
  )
  .transform(
    ({
      num_hidden_layers,
      num_attention_heads,
      position_embedding_type,
      ...sizes
    }): BackboneSizes => {
      void [num_attention_heads, position_embedding_type];
      return { ...sizes, num_layers: num_hidden_layers };
    },
  );

const bart = z
  .object({
    model_type: z.string(),
    d_model: size,
    encoder_layers: size,
    encoder_ffn_dim: size,
    decoder_layers: size,
    decoder_ffn_dim: size,
    vocab_size: size,
    max_position_embeddings: size,
  })
  .transform(
    ({
      model_type,
      d_model,
      encoder_layers,
      encoder_ffn_dim,
      decoder_layers,
      decoder_ffn_dim,
      ...tables
    }): BackboneSizes => ({
      model_type,
      hidden_size: d_model,
      intermediate_size: encoder_ffn_dim,
      num_layers: encoder_layers,
      decoder: { intermediate_size: decoder_ffn_dim, num_layers: decoder_layers },
      ...tables,
      type_vocab_size: 0,
    }),
  );

const t5 = z
  .object({
    model_type: z.string(),
    d_model: size,
    d_kv: size,
    num_heads: size,
    d_ff: size,
    num_layers: size,
    // As many as in the encoder if left out.
    num_decoder_layers: size.nullish(),
    vocab_size: size,
  })
  .transform(
    ({
      model_type,
      d_model,
      d_kv,
      num_heads,
      d_ff,
      num_layers,
      num_decoder_layers,
      vocab_size,
    }): BackboneSizes => ({
      model_type,
      hidden_size: d_model,
      ...(d_kv * num_heads === d_model ? {} : { attention_size: d_kv * num_heads }),
      intermediate_size: d_ff,
      num_layers,
      decoder: { intermediate_size: d_ff, num_layers: num_decoder_layers ?? num_layers },
      vocab_size,
      max_position_embeddings: 0,
      type_vocab_size: 0,
    }),
  );

const FAMILIES: Readonly<Record<string, z.ZodType<BackboneSizes>>> = {
  bert: encoder,
  roberta: encoder,
  bart,
  t5,
};

/**
 * Reads the sizes.
 *
 * @throws UserError (exit 2) naming the file, and what model_type must be, or else each field that
 *   is missing or wrong
 */
export function backboneSizes(file: string, config: unknown): BackboneSizes {
  const { model_type } = (config ?? {}) as { model_type?: unknown };
  if (typeof model_type !== 'string' || !Object.hasOwn(FAMILIES, model_type)) {
    const found = model_type === undefined ? 'is missing' : `is ${JSON.stringify(model_type)}`;
    const supported = Object.keys(FAMILIES).join(', ');
    throw new UserError(`${file}: model_type ${found}; must be one of ${supported}`, 2);
  }
  const read = FAMILIES[model_type]!.safeParse(config);
  if (read.success) return read.data;
  const problems = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new UserError(`${file}: ${problems.join('; ')}`, 2);
}

/** What the tensors in the files of weights depend on, with sizes of the same config.json. */
export function tensorLayout(sizes: BackboneSizes, config: unknown): Layout {
  const { feed_forward_proj: form } = config as { feed_forward_proj?: unknown };
  return {
    ...sizes,
    attention_size: sizes.attention_size ?? sizes.hidden_size,
    is_gated: typeof form === 'string' && form.startsWith('gated-'),
  };
}
