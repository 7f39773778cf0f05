/** Which tensors each family of backbones has, with their shapes, under Transformers' names. */
import type { PlannedBackbone } from '../sweep/types';
import { isFloat, type TensorHeader } from './safetensors-header';

/** What a plan has of a backbone's config.json. */
export type BackboneSizes = Omit<PlannedBackbone, 'name' | 'path' | 'digest' | 'weights'>;

/** What of config.json the tensors depend on. */
export interface Layout extends BackboneSizes {
  /** The sum of all heads' widths, also where that is the hidden size. */
  attention_size: number;
  /** Of T5: whether the feed-forward blocks have a gate, which is a third matrix. */
  is_gated: boolean;
}

/** A tensor; of several names, the files have one. */
interface Expected {
  names: string[];
  shape: number[];
}

interface WrongTensor {
  /** The file that has it; undefined if no file has. */
  file: string | undefined;
  message: string;
}

/** The first tensor that is missing, quantized or of another shape; undefined if all are right. */
export function findWrongTensor(
  tensors: ReadonlyMap<string, TensorHeader & { file: string }>,
  layout: Layout,
): WrongTensor | undefined {
  const prefix = PREFIXES[layout.model_type] ?? '';
  const isPrefixed = [...tensors.keys()].some((name) => name.startsWith(prefix));
  const begin = isPrefixed ? prefix : '';
  for (const { names, shape } of listTensors(layout)) {
    const name = names.map((each) => begin + each).find((each) => tensors.has(each));
    if (name === undefined)
      return { file: undefined, message: `has no tensor ${begin}${names[0]!}` };
    const found = tensors.get(name)!;
    const { file } = found;
    if (!isFloat(found))
      return { file, message: `tensor ${name} is ${found.dtype}; must be F32, F16, BF16 or F64` };
    if (found.shape.join() !== shape.join()) {
      const is = `tensor ${name} has shape [${found.shape.join(', ')}]`;
      return { file, message: `${is}, but config.json means [${shape.join(', ')}]` };
    }
  }
  return undefined;
}

/** What the names begin with in models that have a head, which are published with it. */
const PREFIXES: Readonly<Record<string, string>> = {
  bert: 'bert.',
  roberta: 'roberta.',
  bart: 'model.',
};

function listTensors(layout: Layout): Expected[] {
  if (layout.model_type === 't5') return listT5(layout);
  return layout.model_type === 'bart' ? listBart(layout) : listEncoder(layout);
}

const matrix = (name: string, out: number, inputs: number): Expected => ({
  names: [`${name}.weight`],
  shape: [out, inputs],
});

const linear = (name: string, out: number, inputs: number): Expected[] => [
  matrix(name, out, inputs),
  { names: [`${name}.bias`], shape: [out] },
];

/** Checkpoints converted from TensorFlow's keep its names. */
const norm = (name: string, size: number): Expected[] => [
  { names: [`${name}.weight`, `${name}.gamma`], shape: [size] },
  { names: [`${name}.bias`, `${name}.beta`], shape: [size] },
];

function listEncoder(layout: Layout): Expected[] {
  const { hidden_size: d, intermediate_size: f } = layout;
  return [
    matrix('embeddings.word_embeddings', layout.vocab_size, d),
    matrix('embeddings.position_embeddings', layout.max_position_embeddings, d),
    matrix('embeddings.token_type_embeddings', layout.type_vocab_size, d),
    ...norm('embeddings.LayerNorm', d),
    ...numbered('encoder.layer', layout.num_layers).flatMap((at) => [
      ...['query', 'key', 'value'].flatMap((each) => linear(`${at}.attention.self.${each}`, d, d)),
      ...linear(`${at}.attention.output.dense`, d, d),
      ...norm(`${at}.attention.output.LayerNorm`, d),
      ...linear(`${at}.intermediate.dense`, f, d),
      ...linear(`${at}.output.dense`, d, f),
      ...norm(`${at}.output.LayerNorm`, d),
    ]),
  ];
}

/** Rows that BART's table of positions has before that of the first one. */
const BART_POSITION_OFFSET = 2;

function listBart(layout: Layout): Expected[] {
  const { hidden_size: d } = layout;
  const positions = layout.max_position_embeddings + BART_POSITION_OFFSET;
  const attention = (at: string) => [
    ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((each) => linear(`${at}.${each}`, d, d)),
    ...norm(`${at}_layer_norm`, d),
  ];
  return [
    {
      names: words('shared', 'encoder.embed_tokens', 'decoder.embed_tokens'),
      shape: [layout.vocab_size, d],
    },
    ...stacks(layout).flatMap(({ stack, inner, layers }) => [
      matrix(`${stack}.embed_positions`, positions, d),
      ...norm(`${stack}.layernorm_embedding`, d),
      ...numbered(`${stack}.layers`, layers).flatMap((at) => [
        ...attention(`${at}.self_attn`),
        ...(stack === 'decoder' ? attention(`${at}.encoder_attn`) : []),
        ...linear(`${at}.fc1`, inner, d),
        ...linear(`${at}.fc2`, d, inner),
        ...norm(`${at}.final_layer_norm`, d),
      ]),
    ]),
  ];
}

function listT5(layout: Layout): Expected[] {
  const { hidden_size: d, attention_size: e } = layout;
  const scale = (name: string): Expected => ({ names: [`${name}.weight`], shape: [d] });
  const attention = (at: string, name: string) => [
    ...['q', 'k', 'v'].map((each) => matrix(`${at}.${name}.${each}`, e, d)),
    matrix(`${at}.${name}.o`, d, e),
    scale(`${at}.layer_norm`),
  ];
  return [
    {
      names: words('shared', 'encoder.embed_tokens', 'decoder.embed_tokens'),
      shape: [layout.vocab_size, d],
    },
    ...stacks(layout).flatMap(({ stack, inner, layers }) => [
      scale(`${stack}.final_layer_norm`),
      ...numbered(`${stack}.block`, layers).flatMap((at) => {
        const last = `${at}.layer.${stack === 'decoder' ? 2 : 1}`;
        const inward = layout.is_gated ? ['wi_0', 'wi_1'] : ['wi'];
        return [
          ...attention(`${at}.layer.0`, 'SelfAttention'),
          ...(stack === 'decoder' ? attention(`${at}.layer.1`, 'EncDecAttention') : []),
          ...inward.map((each) => matrix(`${last}.DenseReluDense.${each}`, inner, d)),
          matrix(`${last}.DenseReluDense.wo`, d, inner),
          scale(`${last}.layer_norm`),
        ];
      }),
    ]),
  ];
}

/** The names of a table of words that several modules share: files have it once or more. */
const words = (...modules: string[]): string[] => modules.map((name) => `${name}.weight`);

function stacks({ intermediate_size, num_layers, decoder }: Layout) {
  const [inner, layers] = [decoder!.intermediate_size, decoder!.num_layers];
  return [
    { stack: 'encoder', inner: intermediate_size, layers: num_layers },
    { stack: 'decoder', inner, layers },
  ];
}

const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name}.${i}`);
