/** The sizes in config.json, under the names of each family. */
import { backboneSizes } from '../../../orchestrator/runtime/backbone-config';
import { catchError } from '../support/catch-error';

const BERT = {
  ...{ model_type: 'bert', hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2 },
  ...{ num_attention_heads: 2, vocab_size: 10, max_position_embeddings: 18, type_vocab_size: 1 },
};
const BART = {
  ...{ model_type: 'bart', d_model: 8, vocab_size: 10, max_position_embeddings: 18 },
  ...{ encoder_layers: 2, encoder_ffn_dim: 12, decoder_layers: 3, decoder_ffn_dim: 14 },
};
const T5 = {
  ...{ model_type: 't5', d_model: 8, d_kv: 4, num_heads: 3, d_ff: 12, num_layers: 2 },
  vocab_size: 10,
};
const SIZES = {
  ...{ hidden_size: 8, intermediate_size: 12, num_layers: 2, vocab_size: 10, type_vocab_size: 0 },
  max_position_embeddings: 0,
};

const read = (config: unknown) => backboneSizes('config.json', config);
const refusal = (config: unknown) => catchError(() => read(config)).message;

describe('a backbone', () => {
  it.each([
    ['BERT', BERT, { type_vocab_size: 1, max_position_embeddings: 18 }],
    [
      'BART',
      BART,
      { decoder: { intermediate_size: 14, num_layers: 3 }, max_position_embeddings: 18 },
    ],
    ['T5', T5, { attention_size: 12, decoder: { intermediate_size: 12, num_layers: 2 } }],
    [
      'T5 with a deeper decoder and attention as wide as the model',
      { ...T5, d_kv: 2, num_heads: 4, num_decoder_layers: 3 },
      { decoder: { intermediate_size: 12, num_layers: 3 } },
    ],
  ])('has its sizes in config.json: %s', (_what, config, sizes) => {
    expect(read(config)).toEqual({ model_type: config.model_type, ...SIZES, ...sizes });
  });

  it.each([
    [
      'no type',
      { hidden_size: 8 },
      'model_type is missing; must be one of bert, roberta, bart, t5',
    ],
    [
      'another type',
      { model_type: 'gpt2', n_embd: 8 },
      'model_type is "gpt2"; must be one of bert',
    ],
    ['a type that is no word', { ...BERT, model_type: 3 }, 'model_type is 3; must be one of bert'],
    ['no map', [1], 'model_type is missing; must be one of bert'],
    ['nothing', null, 'model_type is missing; must be one of bert'],
    ['no size of its family', { ...BART, decoder_layers: undefined }, 'decoder_layers: '],
    ['heads that do not divide it', { ...BERT, num_attention_heads: 3 }, 'must divide hidden_size'],
    ['positions of another kind', { ...BERT, position_embedding_type: 'relative_key' }, 'position'],
  ])('with %s is refused by name', (_what, config, message) => {
    expect(refusal(config)).toContain(message);
  });

  it('that lacks several sizes is refused with all of them', () => {
    expect(refusal({ model_type: 'bert', hidden_size: 0 })).toMatch(
      /hidden_size: .*intermediate_size: .*num_hidden_layers: .*vocab_size: .*type_vocab_size: /,
    );
  });
});
