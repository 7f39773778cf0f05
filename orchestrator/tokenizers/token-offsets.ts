/**
 * Finds the place of each token in its text. The tokenizer library returns only tokens, so this
 * file runs the library's own parts (added tokens, normalizer, pre-tokenizer, model) one by one and
 * keeps the place that every character comes from.
 *
 * Places equal the `offset_mapping` of Python's tokenizers, but in JavaScript's UTF-16 units:
 * - what a character is normalized to (lower case, decomposed, several letters) has the character's
 *   place; what normalizing removes (combining accents, control characters) belongs to no token,
 *   but lies inside a token if it is between two of its letters;
 * - each byte of a character has the place of the whole character, so two tokens can have the same
 *   place;
 * - the token of an unknown word has the word's place; the place of a byte-level token excludes the
 *   spaces at its ends.
 */
import { ConfigError } from '../base/errors';
import type { Definition, OpenTokenizer, Tokenizer } from './tokenizer';

/**
 * The tokens of a text, without surrounding special tokens. Token i is text.slice(begins[i],
 * ends[i]).
 */
export interface PlacedTokens {
  ids: number[];
  begins: number[];
  ends: number[];
}

/** Normalizers that work on each character by itself. */
const BY_CHARACTER = new Set(['BertNormalizer', 'Lowercase', 'StripAccents', 'NFD']);

/**
 * Returns a function that tokenizes a text and gives the places of its tokens. The ids are those of
 * `encode`.
 *
 * @throws ConfigError if the tokenizer is neither WordPiece like BERT's nor byte-level BPE like
 *   RoBERTa's
 */
export function placedTokenizer({
  tokenizer,
  definition,
  preprocess,
}: OpenTokenizer): (text: string) => PlacedTokens {
  const words = wordReader(tokenizer, definition);
  const normalizeCharacter = characterNormalizer(tokenizer, preprocess);
  const prefix =
    definition.model?.type === 'WordPiece'
      ? (definition.model.continuing_subword_prefix ?? '##')
      : '';
  const trims =
    definition.pre_tokenizer?.type === 'ByteLevel' && trimsOffsets(definition.post_processor);
  return (text) => {
    const placed: PlacedTokens = { ids: [], begins: [], ends: [] };
    const put = (id: number, { begin, end }: Place) => {
      placed.ids.push(id);
      placed.begins.push(begin);
      placed.ends.push(end);
    };
    for (const raw of sections(text, tokenizer, tokenizer.splitter_unnormalized)) {
      if (raw.added !== null) {
        put(raw.added, raw);
        continue;
      }
      const { normalized, places } = normalize(text, raw, normalizeCharacter);
      for (const section of sections(normalized, tokenizer, tokenizer.splitter_normalized)) {
        if (section.added !== null) {
          put(section.added, around(places.slice(section.begin, section.end)));
          continue;
        }
        for (const word of words(
          normalized.slice(section.begin, section.end),
          places.slice(section.begin, section.end),
        )) {
          placeWord(tokenizer.model([word.text]), word, {
            prefix,
            trims,
            put: (token, place) => put(tokenizer.token_to_id(token)!, place),
          });
        }
      }
    }
    return placed;
  };
}

interface Place {
  begin: number;
  end: number;
}

/** A part of a text; `added` is its id if the whole part is an added token (`[SEP]`, `<mask>`). */
interface Section extends Place {
  added: number | null;
}

function sections(
  text: string,
  tokenizer: Tokenizer,
  splitter: Tokenizer['splitter_normalized'],
): Section[] {
  let position = 0;
  const found = splitter.split(text).map((part) => {
    const section = {
      begin: position,
      end: position + part.length,
      token: tokenizer.added_tokens_map.get(part),
    };
    position = section.end;
    return section;
  });
  for (const [i, { token }] of found.entries()) {
    const [before, after] = [found[i - 1], found[i + 1]];
    // Such a token absorbs the adjacent white space, but its place does not include it.
    if (token?.lstrip && before)
      before.end = before.begin + text.slice(before.begin, before.end).trimEnd().length;
    if (token?.rstrip && after)
      after.begin = after.end - text.slice(after.begin, after.end).trimStart().length;
  }
  return found
    .filter(({ begin, end }) => begin < end)
    .map(({ begin, end, token }) => ({ begin, end, added: token?.id ?? null }));
}

/** A section's normalized text, and the original place of each of its UTF-16 units. */
function normalize(
  text: string,
  { begin, end }: Place,
  normalizeCharacter: (character: string) => string,
) {
  const parts: string[] = [];
  const places: Place[] = [];
  let position = begin;
  for (const character of text.slice(begin, end)) {
    const place = { begin: position, end: position + character.length };
    const part = normalizeCharacter(character);
    parts.push(part);
    for (let i = 0; i < part.length; i++) places.push(place);
    position = place.end;
  }
  return { normalized: parts.join(''), places };
}

function characterNormalizer(
  { normalizer }: Tokenizer,
  preprocess: (text: string) => string,
): (character: string) => string {
  if (normalizer === null) return (character) => character;
  const known = new Map<string, string>();
  return (character) => {
    let normal = known.get(character);
    if (normal === undefined) known.set(character, (normal = normalizer(preprocess(character))));
    return normal;
  };
}

/** A word for the model; `places` are those of the characters (code points) of `text`. */
interface Word {
  text: string;
  places: Place[];
}

/** Splits a normalized text, whose UTF-16 units have these `places`, into words for the model. */
type ReadWords = (text: string, places: Place[]) => Word[];

function wordReader({ pre_tokenizer: preTokenizer }: Tokenizer, definition: Definition): ReadWords {
  const { normalizer, pre_tokenizer: split, model } = definition;
  const normalizers = (normalizer?.normalizers ?? [normalizer]).map((each) => each?.type);
  const byCharacter = normalizers.every((type) => type === undefined || BY_CHARACTER.has(type));
  const pattern = preTokenizer?.pattern;
  if (byCharacter && pattern && split?.type === 'BertPreTokenizer' && model?.type === 'WordPiece') {
    return (text, places) =>
      Array.from(text.matchAll(pattern), (match) =>
        characters(match[0], places.slice(match.index)),
      );
  }
  if (byCharacter && pattern && split?.type === 'ByteLevel' && model?.type === 'BPE') {
    return (text, places) => {
      const spaced = split.add_prefix_space === true && !text.startsWith(' ') && text !== '';
      const [all, from] = spaced
        ? [` ${text}`, [{ begin: places[0]!.begin, end: places[0]!.begin }, ...places]]
        : [text, places];
      if (split.use_regex === false) return [bytes(all, from)];
      return Array.from(all.matchAll(pattern), (match) => bytes(match[0], from.slice(match.index)));
    };
  }
  const parts = [...normalizers, split?.type, model?.type]
    .filter((type) => type !== undefined)
    .join(', ');
  throw new ConfigError({
    where: 'tokenizer',
    message:
      'the places of its tokens in a text cannot be found ' +
      `(${parts}); must be WordPiece like BERT's or byte-level BPE like RoBERTa's`,
  });
}

function characters(text: string, places: Place[]): Word {
  const first = (unit: number) =>
    unit > 0 && /[\udc00-\udfff]/.test(text[unit]!) ? [] : [places[unit]!];
  return { text, places: Array.from({ length: text.length }, (_, unit) => first(unit)).flat() };
}

/** Byte-level BPE works on a printable character per byte of the text's UTF-8 (Radford 2019). */
function bytes(text: string, places: Place[]): Word {
  const letters: string[] = [];
  const found: Place[] = [];
  let unit = 0;
  for (const character of text) {
    for (const byte of Buffer.from(character)) {
      letters.push(BYTE_LETTERS[byte]!);
      found.push(places[unit]!);
    }
    unit += character.length;
  }
  return { text: letters.join(''), places: found };
}

/**
 * The character for each byte: bytes that are printable in Latin-1 stand for themselves, the others
 * map in order to the characters from U+0100.
 */
const BYTE_LETTERS: readonly string[] = (() => {
  let next = 0x100;
  const prints = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(prints(byte) ? byte : next++),
  );
})();
const SPACE = BYTE_LETTERS[0x20]!;

interface Placing {
  /** The prefix of tokens that continue a word. */
  prefix: string;
  /** Whether a token's place excludes the spaces at its ends. */
  trims: boolean;
  put: (token: string, place: Place) => void;
}

function placeWord(
  tokens: readonly string[],
  { text, places }: Word,
  { prefix, trims, put }: Placing,
): void {
  const pieces = tokens.map((token, i) => [
    ...(i > 0 && token.startsWith(prefix) ? token.slice(prefix.length) : token),
  ]);
  if (pieces.flat().join('') !== text) {
    for (const token of tokens) put(token, around(places));
    return;
  }
  let position = 0;
  for (const [i, piece] of pieces.entries()) {
    const own = places.slice(position, position + piece.length);
    put(tokens[i]!, trims ? withoutSpaces(piece, own) : around(own));
    position += piece.length;
  }
}

function around(places: readonly Place[]): Place {
  return { begin: places[0]!.begin, end: places.at(-1)!.end };
}

function withoutSpaces(piece: readonly string[], places: readonly Place[]): Place {
  const first = piece.findIndex((letter) => letter !== SPACE);
  if (first === -1) return { begin: places.at(-1)!.end, end: places.at(-1)!.end };
  const last = piece.findLastIndex((letter) => letter !== SPACE);
  return { begin: places[first]!.begin, end: places[last]!.end };
}

function trimsOffsets(processor: Definition['post_processor']): boolean {
  if (!processor) return false;
  const byteLevel = processor.type === 'RobertaProcessing' || processor.type === 'ByteLevel';
  return (
    (byteLevel && processor.trim_offsets !== false) ||
    (processor.processors ?? []).some(trimsOffsets)
  );
}
