/** Transformers' names of what a layer of BERT or RoBERTa has, by the names here. */
export const ENCODER_LAYER = {
  query: 'attention.self.query',
  key: 'attention.self.key',
  value: 'attention.self.value',
  attention_output: 'attention.output.dense',
  attention_norm: 'attention.output.LayerNorm',
  ffn_in: 'intermediate.dense',
  ffn_out: 'output.dense',
  ffn_norm: 'output.LayerNorm',
} as const;
