/** What a model directory says of its tokenizer besides the vocabulary. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../base/errors';

/** A token that is found in a text before it is split, as tokenizer.json writes it. */
export interface AddedToken {
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

export interface Settings {
  /** The class in Transformers without `Fast`, which old names end with; null if none is named. */
  tokenizerClass: string | null;
  /** The keys of tokenizer_config.json, and of special_tokens_map.json in older directories. */
  values: Record<string, unknown>;
  /** Added tokens in the order of their ids, beside those of tokenizer.json. */
  added: AddedToken[];
}

/** The special tokens that have a name, in the order in which Transformers adds them. */
export const NAMED_TOKENS = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
] as const;

/** The classes of models whose directory names none. */
const CLASS_OF_MODEL: Record<string, string> = {
  bert: 'BertTokenizer',
  roberta: 'RobertaTokenizer',
  bart: 'RobertaTokenizer',
  t5: 'T5Tokenizer',
  'xlm-roberta': 'XLMRobertaTokenizer',
};

/** The files that a tokenizer may depend on in addition to its vocabulary. */
const [CONFIG, SPECIAL, ADDED] = [
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
];

/** @throws ConfigError that names a file that is not JSON */
export function readSettings(modelDir: string): Settings {
  const read = (name: string) => readJson(join(modelDir, name)) ?? {};
  const config = read(CONFIG);
  const model = read('config.json');
  const decoder = config.added_tokens_decoder as Record<string, AddedToken> | undefined;
  const named = config.tokenizer_class ?? model.tokenizer_class;
  const values = decoder === undefined ? { ...config, ...read(SPECIAL) } : config;
  return {
    tokenizerClass:
      typeof named === 'string'
        ? named.replace(/Fast$/, '')
        : (CLASS_OF_MODEL[String(model.model_type)] ?? null),
    values,
    added:
      decoder === undefined
        ? readOldAdded(read(ADDED), values)
        : Object.entries(decoder)
            .sort(([a], [b]) => Number(a) - Number(b))
            .map(([, token]) => completeToken(token)),
  };
}

/** A special token, of which only the content may be written. */
export function completeToken(written: string | (Partial<AddedToken> & object)): AddedToken {
  const token = typeof written === 'string' ? { content: written } : written;
  const { content = '', single_word = false, lstrip = false, rstrip = false } = token;
  const { special = true, normalized = !special } = token;
  return { content, single_word, lstrip, rstrip, normalized, special };
}

/** Reads a file's object; null if there is no such file. @throws ConfigError if it is not JSON */
export function readJson(path: string): Record<string, unknown> | null {
  return existsSync(path) ? parseJson(path, readFileSync(path, 'utf8')) : null;
}

/** @throws ConfigError that names the file if its content is not JSON */
export function parseJson(path: string, content: string): Record<string, unknown> {
  try {
    return JSON.parse(content) as Record<string, unknown>;
  } catch (error) {
    throw new ConfigError({
      where: path,
      message: `is not valid JSON: ${(error as Error).message}`,
    });
  }
}

/** added_tokens.json has an id for each text. */
function readOldAdded(ids: object, values: Record<string, unknown>): AddedToken[] {
  const extra = values.extra_special_tokens ?? values.additional_special_tokens ?? [];
  const special = new Set([
    ...NAMED_TOKENS.map((name) => contentOf(values[name])),
    ...(Array.isArray(extra) ? extra.map(contentOf) : []),
  ]);
  return Object.entries(ids as Record<string, number>)
    .sort(([, a], [, b]) => a - b)
    .map(([content]) => completeToken({ content, special: special.has(content) }));
}

export function contentOf(token: unknown): string | undefined {
  return typeof token === 'string' ? token : (token as AddedToken | null | undefined)?.content;
}
