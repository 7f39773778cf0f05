/** The vocabularies of tokenizers, from tokenizer.json or from the files of older directories. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../base/errors';
import { parseSentencePiece } from './sentencepiece';
import { completeToken, parseJson, type AddedToken } from './settings';

/** Ids by token, or tokens with their scores in the order of their ids. */
export type Tokens = Record<string, number> | [token: string, score: number][];

export interface Vocabulary {
  tokens: Tokens;
  /** Pairs of tokens that become one token, in their order; only BPE has them. */
  merges: readonly (string | [string, string])[];
  /** SentencePiece's table of characters and what stands for them, in base64; null without one. */
  charsmap: string | null;
  /** Tokens that are found in a text before it is split. */
  added: AddedToken[];
}

/** The parts of tokenizer.json that hold the vocabulary. */
export interface VocabularyFile {
  model: { type?: string; vocab: Tokens; merges?: Vocabulary['merges']; unk_id?: number };
  normalizer?: Normalizer | null;
}
export interface Normalizer {
  type?: string;
  precompiled_charsmap?: string;
  normalizers?: Normalizer[];
}

/** The type of a file's model. Older files do not name it: their keys tell. */
export function typeOf({ model }: VocabularyFile): string {
  if (model.type !== undefined) return model.type;
  if (model.merges !== undefined) return 'BPE';
  if (Array.isArray(model.vocab)) return 'Unigram';
  return 'continuing_subword_prefix' in model ? 'WordPiece' : 'WordLevel';
}

/** The vocabulary of a tokenizer.json. */
export function vocabularyOf({ model, normalizer }: VocabularyFile): Vocabulary {
  const charsmap = [normalizer, ...(normalizer?.normalizers ?? [])]
    .map((each) => each?.precompiled_charsmap)
    .find((map) => map !== undefined);
  return {
    tokens: model.vocab,
    merges: model.merges ?? [],
    charsmap: charsmap ?? null,
    added: [],
  };
}

/** The id of each token. */
export function indexTokens(tokens: Tokens): Map<string, number> {
  return new Map(
    Array.isArray(tokens) ? tokens.map(([token], id) => [token, id]) : Object.entries(tokens),
  );
}

/** Reads BERT's vocab.txt. @throws ConfigError if there is none */
export function readWordPieces(modelDir: string): Vocabulary {
  const lines = splitLines(readFile(modelDir, 'vocab.txt').toString('utf8'));
  // White space at the end of a line is not part of its token.
  const tokens = lines.map((line, id) => [line.replace(/\p{White_Space}+$/u, ''), id] as const);
  return { tokens: Object.fromEntries(tokens), merges: [], charsmap: null, added: [] };
}

/** Reads RoBERTa's vocab.json and merges.txt. @throws ConfigError if one is missing or broken */
export function readBytePairs(modelDir: string): Vocabulary {
  const file = 'vocab.json';
  const tokens = parseJson(join(modelDir, file), readFile(modelDir, file).toString('utf8'));
  const merges = splitLines(readFile(modelDir, 'merges.txt').toString('utf8'));
  return {
    tokens: tokens as Record<string, number>,
    merges: merges.filter((line) => !line.startsWith('#version')),
    charsmap: null,
    added: [],
  };
}

/**
 * Reads a model of SentencePiece. The caller completes its tokens.
 *
 * @throws ConfigError if there is none, or it is broken
 */
export function readSentencePieces(
  modelDir: string,
  name: string,
): Vocabulary & { tokens: [string, number][] } {
  const model = parseSentencePiece(join(modelDir, name), readFile(modelDir, name));
  return {
    tokens: model.pieces.map(({ text, score }) => [text, score]),
    merges: [],
    charsmap: model.charsmap?.toString('base64') ?? null,
    added: model.pieces
      .filter(({ isControl, isUserDefined }) => isControl || isUserDefined)
      .map(({ text, isControl }) =>
        completeToken({ content: text, special: isControl, normalized: false }),
      ),
  };
}

function readFile(modelDir: string, name: string): Buffer {
  const path = join(modelDir, name);
  if (existsSync(path)) return readFileSync(path);
  throw new ConfigError({
    where: modelDir,
    message: `has no tokenizer; must have tokenizer.json or ${name}`,
  });
}

function splitLines(text: string): string[] {
  return text.replace(/\r?\n$/, '').split(/\r?\n/);
}
