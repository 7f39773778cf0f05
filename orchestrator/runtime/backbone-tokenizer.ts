/** Whether a backbone's tokenizer fits its table of words. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isLfsPointer, LFS_POINTER } from '../../common/git-lfs';
import { UserError } from '../base/errors';
import { parseSentencePiece } from '../tokenizers/sentencepiece';

const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
  'spiece.model',
  'sentencepiece.bpe.model',
];

export const isTokenizerFile = (name: string): boolean => TOKENIZER_FILES.includes(name);

/** Files that have the tokens, in the order in which they are looked for. */
const READERS: readonly (readonly [string, (content: Buffer) => Vocabulary])[] = [
  ['tokenizer.json', (content) => readTokenizerJson(content.toString())],
  ['vocab.json', (content) => JSON.parse(content.toString()) as Vocabulary],
  ['vocab.txt', (content) => numberLines(content.toString())],
  ['spiece.model', numberPieces],
  ['sentencepiece.bpe.model', numberPieces],
];

/** Ids of tokens. */
type Vocabulary = Record<string, number>;

/**
 * Checks that each token has its row in the table. Tokens in angle brackets or square ones are left
 * out: models are published whose table has no row for the mask, which no text contains.
 *
 * @param rows of the table of words, from config.json
 * @throws UserError (exit 2) naming the file that is missing or broken, or the first such token
 */
export function checkVocabulary(folder: string, rows: number): void {
  const found = READERS.find(([name]) => existsSync(join(folder, name)));
  if (found === undefined)
    throw new UserError(`${folder} has no tokenizer (tokenizer.json or a vocabulary)`, 2);
  const file = join(folder, found[0]);
  const content = readFileSync(file);
  if (isLfsPointer(content)) throw new UserError(`${file} ${LFS_POINTER}`, 2);
  const beyond = Object.entries(readVocabulary(file, content, found[1])).find(
    ([token, id]) => id >= rows && !SPECIAL.test(token),
  );
  if (beyond === undefined) return;
  throw new UserError(
    `${file}: token ${JSON.stringify(beyond[0])} is number ${beyond[1]}, but the backbone has ` +
      `only ${rows} rows of words (vocab_size in config.json); ` +
      'take the tokenizer that it was trained with, or resize_token_embeddings() and save it',
    2,
  );
}

const SPECIAL = /^(<.*>|\[.*\])$/s;

function readVocabulary(
  file: string,
  content: Buffer,
  read: (content: Buffer) => Vocabulary,
): Vocabulary {
  try {
    return read(content);
  } catch (error) {
    throw new UserError(`${file} is not a tokenizer: ${(error as Error).message}`, 2);
  }
}

/** The vocabulary of the model, in either of its two forms, and the tokens that were added. */
function readTokenizerJson(content: string): Vocabulary {
  const { model, added_tokens = [] } = JSON.parse(content) as {
    model: { vocab: Vocabulary | [string, number][] };
    added_tokens?: { content: string; id: number }[];
  };
  const { vocab } = model;
  const ids = Array.isArray(vocab) ? vocab.map(([token], id) => [token, id] as const) : [];
  return {
    ...(Array.isArray(vocab) ? Object.fromEntries(ids) : vocab),
    ...Object.fromEntries(added_tokens.map((token) => [token.content, token.id])),
  };
}

function numberLines(content: string): Vocabulary {
  const lines = content.replace(/\n$/, '').split('\n');
  return Object.fromEntries(lines.map((token, id) => [token.replace(/\r$/, ''), id]));
}

function numberPieces(content: Buffer): Vocabulary {
  const { pieces } = parseSentencePiece('the model', content);
  return Object.fromEntries(pieces.map(({ text }, id) => [text, id]));
}
