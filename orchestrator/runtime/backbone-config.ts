/**
 * Reads a backbone's sizes from its config.json, in which each family has its own names for them.
 */
import { z } from 'zod';
import { UserError } from '../base/errors';
import type { PlannedBackbone } from '../sweep/types';

type BackboneSizes = Omit<PlannedBackbone, 'name' | 'path' | 'digest' | 'weights'>;

const size = z.int().positive();

const encoder = z
  .object({
    model_type: z.string(),
    hidden_size: size,
    intermediate_size: size,
    num_hidden_layers: size,
    vocab_size: size,
    max_position_embeddings: size,
    type_vocab_size: size,
  })
  .transform(({ num_hidden_layers: num_layers, ...sizes }): BackboneSizes => ({
    ...sizes,
    num_layers,
  }));

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

const FAMILIES = { bart, t5 };

/**
 * Reads the sizes. An unknown family is read as an encoder, which the trainer then refuses.
 *
 * @throws UserError (exit 2) naming the file and the field that is missing or wrong
 */
export function backboneSizes(file: string, config: unknown): BackboneSizes {
  const { model_type } = (config ?? {}) as { model_type?: unknown };
  const family = model_type === 'bart' || model_type === 't5' ? FAMILIES[model_type] : encoder;
  const found = family.safeParse(config);
  if (found.success) return found.data;
  const problems = found.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new UserError(`${file}: ${problems.join('; ')}`, 2);
}
