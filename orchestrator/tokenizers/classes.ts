/**
 * The classes of tokenizers in Transformers that are known here. How a text is split follows from
 * the class; of a model's directory it takes only the vocabulary and a few settings.
 */
import type { NAMED_TOKENS, Settings } from './settings';
import {
  readBytePairs,
  readSentencePieces,
  readWordPieces,
  type Normalizer,
  type Vocabulary,
} from './vocabulary';

/** A special token that has a name. */
export type TokenName = (typeof NAMED_TOKENS)[number];

export interface TokenizerClass {
  /** The type of its model in tokenizer.json. */
  model: 'WordPiece' | 'BPE' | 'Unigram';
  /** Its special tokens where the settings have no others. */
  named: Partial<Record<TokenName, string>>;
  /** Makes special tokens without a name, for settings that list none. */
  makeExtra: (values: Settings['values']) => readonly string[];
  /**
   * Reads the vocabulary of a directory without tokenizer.json.
   *
   * @throws ConfigError that names the file that is missing or broken
   */
  readVocabulary: (
    modelDir: string,
    values: Settings['values'],
    named: (name: TokenName) => string,
  ) => Vocabulary;
  /** Makes the normalizer, which changes the characters of a text before it is split. */
  normalize: (values: Settings['values'], vocabulary: Vocabulary | null) => Normalizer | null;
  /** Makes the other parts of tokenizer.json, without added tokens. */
  build: (vocabulary: Vocabulary, values: Settings['values'], tokens: SpecialTokens) => Parts;
}

export interface SpecialTokens {
  /** Returns the token of a name. */
  named: (name: TokenName) => string;
  /** @throws ConfigError if the vocabulary does not have the token */
  id: (token: string) => number;
}

interface Parts {
  pre_tokenizer: object;
  post_processor: object;
  decoder: object;
  model: { type: string; vocab: Vocabulary['tokens']; [setting: string]: unknown };
}

const bert: TokenizerClass = {
  model: 'WordPiece',
  named: {
    unk_token: '[UNK]',
    sep_token: '[SEP]',
    pad_token: '[PAD]',
    cls_token: '[CLS]',
    mask_token: '[MASK]',
  },
  makeExtra: () => [],
  readVocabulary: readWordPieces,
  normalize: (values) => ({
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: values.tokenize_chinese_chars ?? true,
    strip_accents: values.strip_accents ?? null,
    lowercase: values.do_lower_case ?? true,
  }),
  build({ tokens: vocab }, _values, tokens) {
    const [cls, sep] = [tokens.named('cls_token'), tokens.named('sep_token')];
    return {
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: surround([cls, FIRST, sep], [SECOND, sep], 1, tokens),
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: tokens.named('unk_token'),
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab,
      },
    };
  },
};

const roberta: TokenizerClass = {
  model: 'BPE',
  named: {
    bos_token: '<s>',
    eos_token: '</s>',
    unk_token: '<unk>',
    sep_token: '</s>',
    pad_token: '<pad>',
    cls_token: '<s>',
    mask_token: '<mask>',
  },
  makeExtra: () => [],
  readVocabulary: readBytePairs,
  normalize: () => null,
  build({ tokens: vocab, merges }, values, { named, id }) {
    const [sep, cls] = [named('sep_token'), named('cls_token')];
    const add_prefix_space = values.add_prefix_space ?? false;
    return {
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space, trim_offsets: true, use_regex: true },
      post_processor: {
        type: 'RobertaProcessing',
        sep: [sep, id(sep)],
        cls: [cls, id(cls)],
        trim_offsets: values.trim_offsets ?? true,
        add_prefix_space,
      },
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: '',
        end_of_word_suffix: '',
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab,
        merges,
      },
    };
  },
};

/** T5's tokens that stand for what a text leaves out. */
const makeSentinels = ({ extra_ids = 100 }: { extra_ids?: unknown }) =>
  Array.from({ length: Number(extra_ids) }, (_, i) => `<extra_id_${i}>`);

const t5: TokenizerClass = {
  model: 'Unigram',
  named: { eos_token: '</s>', unk_token: '<unk>', pad_token: '<pad>' },
  makeExtra: makeSentinels,
  readVocabulary(modelDir, values) {
    const { tokens, ...read } = readSentencePieces(modelDir, 'spiece.model');
    return { ...read, tokens: [...tokens, ...makeSentinels(values).map(withoutScore).reverse()] };
  },
  normalize: replaceCharacters,
  build(vocabulary, _values, tokens) {
    const eos = tokens.named('eos_token');
    return {
      ...splitAtSpaces(vocabulary, 2, 'always'),
      post_processor: surround([FIRST, eos], [SECOND, eos], 0, tokens),
    };
  },
};

const xlmRoberta: TokenizerClass = {
  model: 'Unigram',
  named: roberta.named,
  makeExtra: () => [],
  readVocabulary(modelDir, _values, named) {
    const { tokens, ...read } = readSentencePieces(modelDir, 'sentencepiece.bpe.model');
    const first = (['bos_token', 'pad_token', 'eos_token', 'unk_token'] as const).map(named);
    // Its ids are those of fairseq: the file's first three tokens have other places there.
    return {
      ...read,
      tokens: [...first.map(withoutScore), ...tokens.slice(3), withoutScore(named('mask_token'))],
    };
  },
  normalize: replaceCharacters,
  build(vocabulary, values, tokens) {
    const [bos, eos] = [tokens.named('bos_token'), tokens.named('eos_token')];
    const prepends = (values.add_prefix_space ?? true) ? 'always' : 'never';
    return {
      ...splitAtSpaces(vocabulary, 3, prepends),
      post_processor: surround([bos, FIRST, eos], [eos, SECOND, eos], 0, tokens),
    };
  },
};

/** By their names in Transformers; several have the same rules. */
export const TOKENIZER_CLASSES: Readonly<Record<string, TokenizerClass>> = {
  BertTokenizer: bert,
  DistilBertTokenizer: bert,
  ElectraTokenizer: bert,
  MobileBertTokenizer: bert,
  RobertaTokenizer: roberta,
  BartTokenizer: roberta,
  LongformerTokenizer: roberta,
  T5Tokenizer: t5,
  XLMRobertaTokenizer: xlmRoberta,
};

const withoutScore = (token: string): [string, number] => [token, 0];

/** What SentencePiece does first. */
function replaceCharacters(
  _values: Settings['values'],
  vocabulary: Vocabulary | null,
): Normalizer | null {
  const charsmap = vocabulary?.charsmap ?? null;
  return charsmap === null ? null : { type: 'Precompiled', precompiled_charsmap: charsmap };
}

/** What SentencePiece does next: spaces become part of words. */
function splitAtSpaces(
  { tokens: vocab }: Vocabulary,
  unk_id: number,
  prepend_scheme: 'always' | 'never',
): Omit<Parts, 'post_processor'> {
  const spaces = { type: 'Metaspace', replacement: '▁', prepend_scheme, split: true };
  return {
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, spaces] },
    decoder: spaces,
    model: { type: 'Unigram', unk_id, vocab, byte_fallback: false },
  };
}

/** Stand for the texts of a row. */
const [FIRST, SECOND] = ['A', 'B'];

/**
 * Puts special tokens around the texts of a row.
 *
 * @param typeId of the second text and what follows the first
 */
function surround(
  first: readonly string[],
  second: readonly string[],
  typeId: number,
  { id }: SpecialTokens,
): object {
  const write = (type_id: number) => (part: string) =>
    part === FIRST || part === SECOND
      ? { Sequence: { id: part, type_id } }
      : { SpecialToken: { id: part, type_id } };
  const special = [...first, ...second].filter((part) => part !== FIRST && part !== SECOND);
  const single = first.map(write(0));
  return {
    type: 'TemplateProcessing',
    single,
    pair: [...single, ...second.map(write(typeId))],
    special_tokens: Object.fromEntries(
      special.map((token) => [token, { id: token, ids: [id(token)], tokens: [token] }]),
    ),
  };
}
