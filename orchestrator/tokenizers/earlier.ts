/**
 * What versions before this library made of a model directory. They always obeyed tokenizer.json
 * and, without one, read vocab.txt as BERT's: of the settings they knew only those of BERT's
 * normalizer.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { cutsBeginning, type Definition, type TokenizerDirectory } from './definition';
import { completeToken, readJson } from './settings';
import { indexTokens, typeOf } from './vocabulary';

/**
 * Whether earlier versions made the same tokens of every published row. Of other models than
 * WordPiece they did not.
 *
 * @param definition of the directory's tokenizer now
 */
export function isReadAsEver(directory: TokenizerDirectory, definition: Definition): boolean {
  const { file, known } = directory;
  if (typeOf(definition) !== 'WordPiece' || cutsBeginning(directory)) return false;
  const earlier = file ?? defineEarlier(directory);
  const around = writeAround(definition.post_processor, (_token, ids) => ids);
  const ids = indexTokens(earlier.model.vocab);
  for (const { content, id } of earlier.added_tokens) ids.set(content, id);
  return (
    around !== null &&
    isDeepStrictEqual(
      around,
      // They took the ids of these tokens from the vocabulary, whatever the file said.
      writeAround(earlier.post_processor, (token) => [ids.get(token)]),
    ) &&
    isDeepStrictEqual(indexAdded(earlier), indexAdded(definition)) &&
    (known === null || isDeepStrictEqual(splittingOf(earlier), splittingOf(definition)))
  );
}

/** Makes what they read of a directory without tokenizer.json. */
function defineEarlier({ path, known }: TokenizerDirectory): Definition {
  const words = readFileSync(join(path, 'vocab.txt'), 'utf8').replace(/\n$/, '').split('\n');
  const ids = new Map(words.map((word, id) => [word.replace(/\r$/, ''), id]));
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].filter((token) => ids.has(token));
  return {
    added_tokens: special.map((token) => ({ ...completeToken(token), id: ids.get(token)! })),
    normalizer: known!.normalize(readJson(join(path, 'tokenizer_config.json')) ?? {}, null),
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'BertProcessing',
      sep: ['[SEP]', ids.get('[SEP]')],
      cls: ['[CLS]', ids.get('[CLS]')],
    },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(ids),
    } as Definition['model'],
  };
}

const splittingOf = (definition: Definition) => ({
  normalizer: { ...definition.normalizer },
  pre_tokenizer: { ...(definition.pre_tokenizer as object | null) },
  model: { ...definition.model, type: typeOf(definition) },
});

const indexAdded = ({ added_tokens }: Definition) =>
  new Map(added_tokens.map((token) => [token.content, { ...completeToken(token), id: token.id }]));

type Part =
  { SpecialToken: { id: string; type_id: number } } | { Sequence: { id: string; type_id: number } };
type PostProcessor =
  | {
      type: 'TemplateProcessing';
      single: Part[];
      pair: Part[];
      special_tokens: Record<string, { ids: number[] }>;
    }
  | { type: 'BertProcessing'; cls: [token: string, id: number]; sep: [token: string, id: number] };

/**
 * The ids and the types of what stands in a row of one text, and in a row of two; null if it
 * follows from something else than a template.
 */
function writeAround(
  written: unknown,
  idsOf: (token: string, ids: number[] | undefined) => unknown,
): object | null {
  const processor = written as PostProcessor | { type: undefined } | null | undefined;
  if (processor?.type === 'TemplateProcessing') {
    const write = (part: Part) =>
      'Sequence' in part
        ? part.Sequence
        : {
            ids: idsOf(part.SpecialToken.id, processor.special_tokens[part.SpecialToken.id]?.ids),
            type_id: part.SpecialToken.type_id,
          };
    return [processor.single.map(write), processor.pair.map(write)];
  }
  if (processor?.type !== 'BertProcessing') return null;
  const special = ([token, id]: [string, number], type_id: number) => ({
    ids: idsOf(token, [id]),
    type_id,
  });
  const { cls, sep } = processor;
  const single = [special(cls, 0), { id: 'A', type_id: 0 }, special(sep, 0)];
  return [single, [...single, { id: 'B', type_id: 1 }, special(sep, 1)]];
}
