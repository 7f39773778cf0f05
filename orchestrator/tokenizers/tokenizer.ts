import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as library from '@huggingface/tokenizers';
import { ConfigError } from '../base/errors';
import { tokenizerFromVocabulary } from './vocabulary-tokenizer';

/**
 * The part of the library that is used here. Its own declarations do not resolve from CommonJS,
 * because their imports have no file extensions.
 */
export interface Tokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(
    ids: number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string;
  token_to_id(token: string): number | undefined;
  post_processor:
    ((tokens: string[], pair: string[] | null, addSpecialTokens: boolean) => PostProcessed) | null;
  normalizer: ((text: string) => string) | null;
  /** Only BertPreTokenizer and ByteLevel have a pattern. */
  pre_tokenizer: { pattern?: RegExp } | null;
  /** The tokens of the words that the pre-tokenizer makes. */
  model(words: string[]): string[];
  added_tokens_map: Map<string, { id: number; lstrip: boolean; rstrip: boolean }>;
  splitter_unnormalized: { split(text: string): string[] };
  splitter_normalized: { split(text: string): string[] };
}
interface PostProcessed {
  tokens: string[];
  token_type_ids?: number[];
}
const { Tokenizer } = library as unknown as {
  Tokenizer: new (definition: object, config: object) => Tokenizer;
};

/** Token ids of a row, including special tokens. */
export interface EncodedRow {
  ids: number[];
  /**
   * 0 for the first text and the tokens around it, 1 for the second if the model distinguishes
   * them.
   */
  typeIds: number[];
  /** Whether tokens were cut off. */
  truncated: boolean;
}

/** Turns a text or a pair into at most maxLength token ids. */
export type EncodeRow = (text: string, pair: string | null) => EncodedRow;

/** The part of tokenizer.json that is used here. */
export interface Definition {
  normalizer?: { type?: string; lowercase?: boolean; normalizers?: { type?: string }[] } | null;
  pre_tokenizer?: { type?: string; add_prefix_space?: boolean; use_regex?: boolean } | null;
  post_processor?: PostProcessorDefinition | null;
  model?: { type?: string; continuing_subword_prefix?: string | null };
}
interface PostProcessorDefinition {
  type?: string;
  trim_offsets?: boolean;
  processors?: PostProcessorDefinition[];
}

/** The tokenizer of a model directory. */
export interface OpenTokenizer {
  tokenizer: Tokenizer;
  definition: Definition;
  /** Must be applied to a text first; makes up for differences from Python's tokenizers. */
  preprocess: (text: string) => string;
}

/** The files of a model directory that tokenizing may depend on, in a fixed order. */
const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
];

/** Hex SHA-256 of the names and contents of a model's tokenizer files. */
export function digestTokenizer(modelDir: string): string {
  const hash = createHash('sha256');
  for (const name of TOKENIZER_FILES) {
    const path = join(modelDir, name);
    if (existsSync(path)) {
      hash.update(`${name}\n`).update(createHash('sha256').update(readFileSync(path)).digest());
    }
  }
  return hash.digest('hex');
}

/**
 * Opens the tokenizer of a model directory: tokenizer.json if it exists, else the vocabulary files
 * of BERT or RoBERTa.
 *
 * @throws ConfigError if the directory has no tokenizer
 */
export function openTokenizer(modelDir: string): OpenTokenizer {
  const config = readJson(join(modelDir, 'tokenizer_config.json')) ?? {};
  const definition: Definition =
    readJson(join(modelDir, 'tokenizer.json')) ?? tokenizerFromVocabulary(modelDir, config);
  const preprocess = lowercases(definition) ? lowercaseAsRust : (text: string) => text;
  return { tokenizer: new Tokenizer(definition, config), definition, preprocess };
}

/**
 * Loads a model directory's tokenizer for rows, see openTokenizer. It gives the same ids as
 * Python's `AutoTokenizer(text, pair, truncation="longest_first", max_length=maxLength)`.
 *
 * @throws ConfigError if the directory has no tokenizer, or maxLength leaves no room for text
 */
export function loadTokenizer(modelDir: string, maxLength: number): EncodeRow {
  const { tokenizer, definition, preprocess } = openTokenizer(modelDir);
  const tokens = (text: string) =>
    tokenizer.encode(preprocess(text), { add_special_tokens: false }).ids;
  const [single, paired] = [
    template(tokenizer, definition, false),
    template(tokenizer, definition, true),
  ];
  if (maxLength <= paired.specials) {
    throw new ConfigError({
      where: 'max_length',
      message: `is ${maxLength}; must be more than ${paired.specials}, a pair's special tokens`,
    });
  }
  return (text, pair) => {
    const first = tokens(text);
    if (pair === null) {
      const room = maxLength - single.specials;
      return { ...single.fill(first.slice(0, room), []), truncated: first.length > room };
    }
    const second = tokens(pair);
    const [n1, n2] = longestFirst(first.length, second.length, maxLength - paired.specials);
    return {
      ...paired.fill(first.slice(0, n1), second.slice(0, n2)),
      truncated: n1 < first.length || n2 < second.length,
    };
  };
}

/**
 * How many tokens of each text are kept if there is room for `room` tokens in total. This is the
 * rule LongestFirst of Hugging Face tokenizers (truncate_encodings): it cuts the longer text to the
 * room that the shorter one leaves, and halves the room if both are too long.
 */
export function longestFirst(n1: number, n2: number, room: number): [number, number] {
  if (n1 + n2 <= room) {
    return [n1, n2];
  }
  const shorter = Math.min(n1, n2);
  let [a, b] = [shorter, Math.max(shorter, room - shorter)];
  if (shorter > room || a + b > room) {
    a = Math.floor(room / 2);
    b = a + (room % 2);
  }
  return n1 > n2 ? [b, a] : [a, b];
}

/**
 * Finds the places of special tokens and texts in a row, by running the model's own post-processor
 * on two markers. RoBERTa has only one type (its embedding has a single row), which
 * RobertaProcessing of the JavaScript library ignores.
 */
export function template(tokenizer: Tokenizer, definition: Definition, paired: boolean) {
  const oneType = definition.post_processor?.type === 'RobertaProcessing';
  const [A, B] = ['\u0000A', '\u0000B'];
  const processed: PostProcessed = tokenizer.post_processor?.([A], paired ? [B] : null, true) ?? {
    tokens: paired ? [A, B] : [A],
  };
  const slots = processed.tokens.map((token, i) => {
    const typeId = oneType ? 0 : (processed.token_type_ids?.[i] ?? 0);
    if (token === A || token === B) {
      return { text: token === A ? 0 : 1, id: 0, typeId };
    }
    return { text: null, id: tokenizer.token_to_id(token)!, typeId };
  });
  return {
    specials: slots.filter((slot) => slot.text === null).length,
    /** The numbers of special tokens before the first text and before the second. */
    specialsBefore: [0, 1].map(
      (text) =>
        slots
          .slice(
            0,
            slots.findIndex((slot) => slot.text === text),
          )
          .filter((slot) => slot.text === null).length,
    ),
    fill(first: number[], second: number[]) {
      const ids: number[] = [];
      const typeIds: number[] = [];
      for (const { text, id, typeId } of slots) {
        const part = text === null ? [id] : text === 0 ? first : second;
        ids.push(...part);
        typeIds.push(...part.map(() => typeId));
      }
      return { ids, typeIds };
    },
  };
}

function lowercases({ normalizer }: Definition): boolean {
  return normalizer?.type === 'BertNormalizer' && normalizer.lowercase === true;
}

/**
 * Python's tokenizers lowercase each character by itself, while JavaScript turns a capital sigma at
 * the end of a word into its final form. They also take each CJK character beyond U+FFFF as a word,
 * which the JavaScript library misses because it looks at UTF-16 units.
 */
function lowercaseAsRust(text: string): string {
  return text
    .replaceAll('Σ', 'σ')
    .replace(/[\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu, ' $& ');
}

function readJson(path: string): object | null {
  if (!existsSync(path)) {
    return null;
  }
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as object;
  } catch (error) {
    throw new ConfigError({
      where: path,
      message: `is not valid JSON: ${(error as Error).message}`,
    });
  }
}
