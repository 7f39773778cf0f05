import { ConfigError } from '../../base/errors';
import { openTokenizer, template, type EncodedRow } from '../../tokenizers/tokenizer';

/** Tokens at most, special ones included. */
export interface SummaryLengths {
  /** Of a document. */
  max_length: number;
  /** Of a summary to learn from. */
  max_target_length: number;
}

/** How documents and summaries become tokens, and tokens a summary. */
export interface SummaryTokenizer {
  encodeDocument: (text: string) => EncodedRow;
  encodeSummary: (text: string) => EncodedRow;
  /** The text of generated tokens, the special ones left out. */
  decode: (ids: readonly number[]) => string;
}

/** The library's own way takes spaces away that the model wrote. */
const DECODING = { skip_special_tokens: true, clean_up_tokenization_spaces: false };

/**
 * The tokenizer of an encoder–decoder's directory: gives the ids of Transformers' `tokenizer(text,
 * truncation=True, max_length=…)`, which are those of `text_target` as well for BART and T5, and
 * the text of its `decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)`. What
 * is too long loses its end before the last special token.
 *
 * @throws ConfigError where the directory has no tokenizer, or where a length leaves no room for a
 *   text
 */
export function loadSummaryTokenizer(
  modelDir: string,
  { max_length, max_target_length }: SummaryLengths,
): SummaryTokenizer {
  const { tokenizer, definition, preprocess } = openTokenizer(modelDir);
  const row = template(tokenizer, definition, false);
  const encoder = (where: string, most: number) => {
    const room = most - row.specials;
    if (room < 1)
      throw new ConfigError({
        where,
        message: `is ${most}; a text alone has ${row.specials} special tokens here`,
      });
    return (text: string): EncodedRow => {
      const { ids } = tokenizer.encode(preprocess(text), { add_special_tokens: false });
      return { ...row.fill(ids.slice(0, room), []), truncated: ids.length > room };
    };
  };
  return {
    encodeDocument: encoder('max_length', max_length),
    encodeSummary: encoder('max_target_length', max_target_length),
    // The library refuses to decode nothing.
    decode: (ids) => (ids.length === 0 ? '' : tokenizer.decode([...ids], DECODING)),
  };
}
