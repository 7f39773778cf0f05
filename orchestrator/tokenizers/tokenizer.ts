/** A model directory's tokenizer: texts to tokens and back, with the library of Transformers. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as library from 'tokenizers';
import { ConfigError } from '../base/errors';
import {
  cutsBeginning,
  defineTokenizer,
  readTokenizerDirectory,
  type Definition,
  type TokenizerDirectory,
} from './definition';
import { isReadAsEver } from './earlier';

/**
 * The tokens of a text, without special tokens around it. Token i is text.slice(begins[i],
 * ends[i]).
 */
export interface PlacedTokens {
  ids: number[];
  begins: number[];
  ends: number[];
}

export interface Tokenizer {
  /** The token ids of each text, without special tokens around it. */
  tokenize: (texts: readonly string[]) => Promise<number[][]>;
  /** The same with the places of the tokens in their texts. */
  tokenizeWithPlaces: (texts: readonly string[]) => Promise<PlacedTokens[]>;
  /** The texts of token ids, without special tokens. */
  decode: (rows: readonly (readonly number[])[]) => Promise<string[]>;
  /** Where special tokens stand in a row of one text, and in a row of two. */
  single: RowTemplate;
  paired: RowTemplate;
  /** Whether a text that is too long loses its beginning. */
  cutsBeginning: boolean;
}

/** A row's tokens, including special tokens. */
export interface FilledRow {
  ids: number[];
  /**
   * 0 for the first text and the tokens around it, 1 for the second if the model distinguishes
   * them.
   */
  typeIds: number[];
}

export interface RowTemplate {
  /** The number of special tokens. */
  specials: number;
  /** How many of them stand before the first text and before the second. */
  specialsBefore: [first: number, second: number];
  fill: (first: readonly number[], second: readonly number[]) => FilledRow;
}

/** The files whose digest was a tokenizer's before others were read, too; in this order. */
const TOKENIZER_FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
];

/**
 * Hex SHA-256 of what determines a model directory's tokens.
 *
 * @throws ConfigError if the directory has no tokenizer or a broken one
 */
export function digestTokenizer(modelDir: string): string {
  const hash = createHash('sha256');
  for (const name of TOKENIZER_FILES) {
    const path = join(modelDir, name);
    if (existsSync(path)) {
      hash.update(`${name}\n`).update(createHash('sha256').update(readFileSync(path)).digest());
    }
  }
  const directory = readTokenizerDirectory(modelDir);
  const definition = defineTokenizer(directory);
  // Trials keep their ids unless earlier versions made other tokens of some published row.
  if (!isReadAsEver(directory, definition))
    hash.update(`definition\n${JSON.stringify(definition)}`);
  if (cutsBeginning(directory)) hash.update('truncation_side\nleft');
  return hash.digest('hex');
}

/** @throws ConfigError if the directory has no tokenizer or a broken one */
export async function openTokenizer(modelDir: string): Promise<Tokenizer> {
  const directory = readTokenizerDirectory(modelDir);
  const definition = defineTokenizer(directory);
  const tokenizer = load(directory, definition);
  const [single, paired] = await makeTemplates(modelDir, tokenizer, definition);
  return {
    single,
    paired,
    cutsBeginning: cutsBeginning(directory),
    tokenize: (texts) => encode(modelDir, tokenizer, texts, (encoding) => encoding.getIds()),
    tokenizeWithPlaces: (texts) =>
      encode(modelDir, tokenizer, texts, (encoding, text) => placeTokens(encoding, text)),
    decode: (rows) =>
      tokenizer.decodeBatch(
        rows.map((ids) => [...ids]),
        true,
      ),
  };
}

function load({ path, known }: TokenizerDirectory, definition: Definition): library.Tokenizer {
  checkCharsmap(path, definition);
  try {
    const tokenizer = library.Tokenizer.fromString(JSON.stringify(definition));
    // The library reads some scores from JSON with an error in the last digit, as Transformers does
    // only if it does not know the class.
    if (known?.model === 'Unigram') {
      const { vocab, unk_id: unkId } = definition.model;
      tokenizer.setModel(library.Unigram.init(vocab as [string, number][], { unkId }));
    }
    return tokenizer;
  } catch (error) {
    throw broken(path, error);
  }
}

const broken = (modelDir: string, error: unknown) =>
  new ConfigError({
    where: modelDir,
    message: `its tokenizer is broken: ${(error as Error).message}`,
  });

/** The library ends the process if this table is incomplete. Its first four bytes are a length. */
function checkCharsmap(modelDir: string, { normalizer }: Definition): void {
  const tables = [normalizer, ...(normalizer?.normalizers ?? [])].flatMap((each) =>
    each?.precompiled_charsmap === undefined ? [] : [each.precompiled_charsmap],
  );
  for (const table of tables.map((base64) => Buffer.from(base64, 'base64'))) {
    if (table.length >= 4 && table.readUInt32LE() <= table.length - 4) continue;
    throw broken(modelDir, new Error('precompiled_charsmap is incomplete'));
  }
}

/** Texts are given to the library in parts: a token takes it a hundred bytes. */
const CHARACTERS_AT_ONCE = 200_000;

async function encode<T>(
  modelDir: string,
  tokenizer: library.Tokenizer,
  texts: readonly string[],
  read: (encoding: library.Encoding, text: string) => T,
): Promise<T[]> {
  const results: T[] = [];
  for (const part of splitTexts(texts)) {
    const encodings = await tokenizer
      .encodeBatch([...part], { addSpecialTokens: false })
      .catch((error: unknown) => {
        throw broken(modelDir, error);
      });
    for (const [i, encoding] of encodings.entries()) results.push(read(encoding, part[i]!));
  }
  return results;
}

function* splitTexts(texts: readonly string[]): Generator<readonly string[]> {
  let [from, characters] = [0, 0];
  for (const [i, { length }] of texts.entries()) {
    if (i > from && characters + length > CHARACTERS_AT_ONCE) {
      yield texts.slice(from, i);
      [from, characters] = [i, 0];
    }
    characters += length;
  }
  if (from < texts.length) yield texts.slice(from);
}

function placeTokens(encoding: library.Encoding, text: string): PlacedTokens {
  const units = unitOfPoint(text);
  const [begins, ends]: [number[], number[]] = [[], []];
  for (const [begin, end] of encoding.getOffsets()) {
    begins.push(units?.[begin!] ?? begin!);
    ends.push(units?.[end!] ?? end!);
  }
  return { ids: encoding.getIds(), begins, ends };
}

/** The index of each code point's first UTF-16 unit, and of the end; null if both count alike. */
function unitOfPoint(text: string): number[] | null {
  if (!/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return null;
  const units = [0];
  let unit = 0;
  for (const character of text) units.push((unit += character.length));
  return units;
}

/** Lets the library put its special tokens around a token, and around two. */
async function makeTemplates(
  modelDir: string,
  tokenizer: library.Tokenizer,
  { added_tokens }: Definition,
): Promise<[single: RowTemplate, paired: RowTemplate]> {
  const token = added_tokens[0]?.content ?? 'a';
  const [single, paired] = [await tokenizer.encode(token), await tokenizer.encode(token, token)];
  if (single.getSequenceIds().filter((text) => text === FIRST).length !== 1)
    throw broken(modelDir, new Error(`its text ${JSON.stringify(token)} must be one token`));
  return [makeTemplate(single), makeTemplate(paired)];
}

/** The numbers of a row's texts. */
const [FIRST, SECOND] = [0, 1];

function makeTemplate(row: library.Encoding): RowTemplate {
  const texts = row.getSequenceIds();
  const typeIds = row.getTypeIds();
  const slots = row.getIds().map((id, i) => ({ id, text: texts[i] ?? null, typeId: typeIds[i]! }));
  const countBefore = (text: number) =>
    slots
      .slice(
        0,
        slots.findIndex((slot) => slot.text === text),
      )
      .filter((slot) => slot.text === null).length;
  return {
    specials: slots.filter((slot) => slot.text === null).length,
    specialsBefore: [countBefore(FIRST), countBefore(SECOND)],
    fill(first, second) {
      const row: FilledRow = { ids: [], typeIds: [] };
      for (const { id, text, typeId } of slots) {
        const ids = text === null ? [id] : text === FIRST ? first : second;
        for (const each of ids) {
          row.ids.push(each);
          row.typeIds.push(typeId);
        }
      }
      return row;
    },
  };
}
