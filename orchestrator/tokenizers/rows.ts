/** Rows of one text or two as a model reads them. */
import { ConfigError } from '../base/errors';
import { openTokenizer, type FilledRow, type Tokenizer } from './tokenizer';

/** A text, or a pair of texts. */
export interface TextRow {
  text: string;
  pair: string | null;
}

export interface EncodedRow extends FilledRow {
  /** Whether tokens were cut off. */
  truncated: boolean;
}

/** Turns each row into at most maxLength token ids. */
export type EncodeRows = (rows: readonly TextRow[]) => Promise<EncodedRow[]>;

/**
 * Loads a model directory's tokenizer for rows. It gives the same ids as Python's
 * `AutoTokenizer(text, pair, truncation="longest_first", max_length=maxLength)`.
 *
 * @throws ConfigError if the directory has no tokenizer, or maxLength leaves no room for text
 */
export async function loadRowEncoder(modelDir: string, maxLength: number): Promise<EncodeRows> {
  const tokenizer = await openTokenizer(modelDir);
  const { specials } = tokenizer.paired;
  if (maxLength <= specials) {
    throw new ConfigError({
      where: 'max_length',
      message: `is ${maxLength}; must be more than ${specials}, a pair's special tokens`,
    });
  }
  return (rows) => encodeRows(tokenizer, rows, maxLength);
}

/** Tokenizes rows; maxLength leaves room for more than their special tokens. */
export async function encodeRows(
  { tokenize, ...tokenizer }: Tokenizer,
  rows: readonly TextRow[],
  maxLength: number,
): Promise<EncodedRow[]> {
  const encoded: EncodedRow[] = [];
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
    const part = rows.slice(from, from + ROWS_AT_ONCE);
    const firsts = await tokenize(part.map(({ text }) => text));
    const seconds = await tokenize(part.flatMap(({ pair }) => pair ?? []));
    let next = 0;
    for (const [i, { pair }] of part.entries())
      encoded.push(
        fitRow(tokenizer, firsts[i]!, pair === null ? null : seconds[next++]!, maxLength),
      );
  }
  return encoded;
}

/**
 * Cuts a row to its length. The library could do so, but it also makes rows of what it cuts off:
 * for a pair of long texts, of every combination of their parts.
 */
function fitRow(
  { single, paired, cutsBeginning }: Omit<Tokenizer, 'tokenize'>,
  first: number[],
  second: number[] | null,
  maxLength: number,
): EncodedRow {
  const template = second === null ? single : paired;
  const n2 = second?.length ?? 0;
  const kept = longestFirst(first.length, n2, maxLength - template.specials);
  const cut = (ids: number[], length: number) =>
    cutsBeginning ? ids.slice(ids.length - length) : ids.slice(0, length);
  return {
    ...template.fill(cut(first, kept[0]), cut(second ?? [], kept[1])),
    truncated: kept[0] + kept[1] < first.length + n2,
  };
}

/** What is cut off needs memory until these rows are done. */
const ROWS_AT_ONCE = 1000;

/**
 * How many tokens of each text are kept if there is room for `room` tokens in total. This is the
 * rule LongestFirst of Hugging Face tokenizers (truncate_encodings): it cuts the longer text to the
 * room that the shorter one leaves, and halves the room if both are too long.
 */
function longestFirst(n1: number, n2: number, room: number): [number, number] {
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
