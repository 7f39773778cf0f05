import { ConfigError } from '../../base/errors';
import { openTokenizer, template, type EncodedRow } from '../../tokenizers/tokenizer';

/** Maximum numbers of tokens, including special tokens. */
export interface SummaryLengths {
  /** Per document. */
  max_length: number;
  /** Per target summary. */
  max_target_length: number;
}

/** Turns documents and summaries into tokens, and generated tokens into a summary. */
export interface SummaryTokenizer {
  encodeDocument: (text: string) => EncodedRow;
  encodeSummary: (text: string) => EncodedRow;
  /** The text of generated tokens, without special tokens. */
  decode: (ids: readonly number[]) => string;
}

/** The library's default removes spaces that the model wrote. */
const DECODING = { skip_special_tokens: true, clean_up_tokenization_spaces: false };

/**
 * Loads the tokenizer of an encoder–decoder's directory. It gives the ids of Transformers'
 * `tokenizer(text, truncation=True, max_length=…)`, which for BART and T5 equal those of
 * `text_target`, and the text of its `decode(ids, skip_special_tokens=True,
 * clean_up_tokenization_spaces=False)`. A text that is too long loses its end; the last special
 * token stays.
 *
 * @throws ConfigError if the directory has no tokenizer, or a length leaves no room for text
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
        message: `is ${most}; must be more than ${row.specials}, the number of special tokens`,
      });
    return (text: string): EncodedRow => {
      const { ids } = tokenizer.encode(preprocess(text), { add_special_tokens: false });
      return { ...row.fill(ids.slice(0, room), []), truncated: ids.length > room };
    };
  };
  return {
    encodeDocument: encoder('max_length', max_length),
    encodeSummary: encoder('max_target_length', max_target_length),
    // The library refuses to decode an empty list.
    decode: (ids) => (ids.length === 0 ? '' : tokenizer.decode([...ids], DECODING)),
  };
}
