import { ConfigError } from '../../base/errors';
import { encodeRows, type EncodedRow } from '../../tokenizers/rows';
import { openTokenizer } from '../../tokenizers/tokenizer';

/** Maximum numbers of tokens, including special tokens. */
export interface SummaryLengths {
  /** Per document. */
  max_length: number;
  /** Per target summary. */
  max_target_length: number;
}

/** Turns documents and summaries into tokens, and generated tokens into a summary. */
export interface SummaryTokenizer {
  encodeDocuments: (texts: readonly string[]) => Promise<EncodedRow[]>;
  encodeSummaries: (texts: readonly string[]) => Promise<EncodedRow[]>;
  /** The texts of generated tokens, without special tokens. */
  decode: (rows: readonly (readonly number[])[]) => Promise<string[]>;
}

/**
 * Loads the tokenizer of an encoder–decoder's directory. It gives the ids of Transformers'
 * `tokenizer(text, truncation=True, max_length=…)`, which for BART and T5 equal those of
 * `text_target`, and the text of its `decode(ids, skip_special_tokens=True,
 * clean_up_tokenization_spaces=False)`. A text that is too long loses its end; the last special
 * token stays.
 *
 * @throws ConfigError if the directory has no tokenizer, or a length leaves no room for text
 */
export async function loadSummaryTokenizer(
  modelDir: string,
  { max_length, max_target_length }: SummaryLengths,
): Promise<SummaryTokenizer> {
  const tokenizer = await openTokenizer(modelDir);
  const { specials } = tokenizer.single;
  const encoder = (where: string, most: number) => {
    if (most <= specials)
      throw new ConfigError({
        where,
        message: `is ${most}; must be more than ${specials}, the number of special tokens`,
      });
    return (texts: readonly string[]) =>
      encodeRows(
        tokenizer,
        texts.map((text) => ({ text, pair: null })),
        most,
      );
  };
  return {
    encodeDocuments: encoder('max_length', max_length),
    encodeSummaries: encoder('max_target_length', max_target_length),
    decode: tokenizer.decode,
  };
}
