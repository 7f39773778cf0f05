import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../base/errors';

interface TokenizerConfig {
  do_lower_case?: boolean;
  strip_accents?: boolean | null;
  tokenize_chinese_chars?: boolean;
  add_prefix_space?: boolean;
}

/**
 * Makes the content of tokenizer.json for a model directory that has only the older vocabulary
 * files: BERT's vocab.txt (WordPiece), or RoBERTa's vocab.json and merges.txt (byte-level BPE).
 * Transformers makes the same conversion when it loads such a directory.
 *
 * @throws ConfigError if the directory has neither
 */
export function tokenizerFromVocabulary(modelDir: string, config: TokenizerConfig): object {
  const has = (name: string) => existsSync(join(modelDir, name));
  const read = (name: string) => readFileSync(join(modelDir, name), 'utf8');
  if (has('vocab.txt')) {
    return wordPiece(read('vocab.txt').replace(/\n$/, '').split('\n'), config);
  }
  if (has('vocab.json') && has('merges.txt')) {
    const merges = read('merges.txt').split('\n');
    return byteLevelBpe(
      JSON.parse(read('vocab.json')) as Record<string, number>,
      merges.filter((line) => line !== '' && !line.startsWith('#version')),
      config,
    );
  }
  throw new ConfigError({
    where: modelDir,
    message: 'has no tokenizer; must have tokenizer.json, vocab.txt, or vocab.json with merges.txt',
  });
}

function wordPiece(words: readonly string[], config: TokenizerConfig): object {
  const vocab = Object.fromEntries(words.map((word, id) => [word.replace(/\r$/, ''), id]));
  return {
    added_tokens: special(vocab, ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: config.tokenize_chinese_chars ?? true,
      strip_accents: config.strip_accents ?? null,
      lowercase: config.do_lower_case ?? true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'BertProcessing',
      sep: pair(vocab, '[SEP]'),
      cls: pair(vocab, '[CLS]'),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

function byteLevelBpe(
  vocab: Record<string, number>,
  merges: readonly string[],
  config: TokenizerConfig,
): object {
  const prefix = config.add_prefix_space ?? false;
  const mask = special(vocab, ['<mask>']).map((token) => ({ ...token, lstrip: true }));
  return {
    added_tokens: [...special(vocab, ['<s>', '<pad>', '</s>', '<unk>']), ...mask],
    normalizer: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: prefix,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: {
      type: 'RobertaProcessing',
      sep: pair(vocab, '</s>'),
      cls: pair(vocab, '<s>'),
      trim_offsets: true,
      add_prefix_space: prefix,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      vocab,
      merges,
    },
  };
}

function special(vocab: Record<string, number>, tokens: readonly string[]) {
  return tokens
    .filter((content) => vocab[content] !== undefined)
    .map((content) => ({
      id: vocab[content],
      content,
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    }));
}

function pair(vocab: Record<string, number>, token: string): [string, number] {
  const id = vocab[token];
  if (id === undefined) {
    throw new ConfigError({
      where: 'vocabulary',
      message: `has no ${token}; must be a vocabulary of BERT or RoBERTa`,
    });
  }
  return [token, id];
}
