/**
 * The digest of a tokenizer is part of the ids of trials: it must not change while the tokens are
 * those of earlier versions, which hashed only files, and must change where they are not.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestTokenizer } from '../../../orchestrator/tokenizers/tokenizer';
import { testIf } from '../../support/reference';
import { LOWERCASING, writeFolder, writePieces } from '../../support/tokenizer-folders';

const backbone = process.env.SA_ORCH_TEST_BACKBONE;
const WORDS = '[PAD] [UNK] [CLS] [SEP] [MASK] the film was good'.split(' ');
const vocabulary = `${WORDS.join('\n')}\n`;

type Files = Record<string, string | object>;

const bert = (files: Files) => writeFolder({ 'config.json': { model_type: 'bert' }, ...files });
const withWords = (files: Files = {}) => bert({ 'vocab.txt': vocabulary, ...files });
const withSettings = (settings: object) => withWords({ 'tokenizer_config.json': settings });

const special = (content: string, id: number) => ({
  id,
  special: true,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
});
const cls = { SpecialToken: { id: '[CLS]', type_id: 0 } };
const sep = (type_id: number) => ({ SpecialToken: { id: '[SEP]', type_id } });
const text = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
/** A tokenizer.json as BERT is published with it. */
const published = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: WORDS.slice(0, 5).map(special),
  normalizer: LOWERCASING,
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [cls, text('A', 0), sep(0)],
    pair: [cls, text('A', 0), sep(0), text('B', 1), sep(1)],
    special_tokens: {
      '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
      '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
    },
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
  },
};
const withFile = (changes: object = {}, settings: object = {}, files: Files = {}) =>
  bert({
    'tokenizer.json': { ...published, ...changes },
    'tokenizer_config.json': settings,
    ...files,
  });
const untyped = { ...published.model, type: undefined };
const bertProcessing = { type: 'BertProcessing', cls: ['[CLS]', 2], sep: ['[SEP]', 3] };
const ownClass = { tokenizer_class: 'PreTrainedTokenizerFast' };

/** The digest of earlier versions. */
function digestFiles(folder: string): string {
  const hash = createHash('sha256');
  const files = ['tokenizer.json', 'tokenizer_config.json', 'vocab.txt'];
  for (const name of files.filter((each) => existsSync(join(folder, each)))) {
    const content = readFileSync(join(folder, name));
    hash.update(`${name}\n`).update(createHash('sha256').update(content).digest());
  }
  return hash.digest('hex');
}

test.each<[string, () => string]>([
  ['a vocabulary alone', () => withWords()],
  [
    'a vocabulary with ends of lines of Windows',
    () => withWords({ 'vocab.txt': WORDS.join('\r\n') }),
  ],
  ['a cased vocabulary', () => withSettings({ do_lower_case: false })],
  [
    'settings that no token depends on',
    () => withSettings({ model_max_length: 512, padding_side: 'left', truncation_side: 'right' }),
  ],
  [
    'tokens that are named as ever',
    () => withWords({ 'special_tokens_map.json': { cls_token: '[CLS]', mask_token: '[MASK]' } }),
  ],
  [
    'tokens that are listed as ever',
    () => withSettings({ added_tokens_decoder: { 2: special('[CLS]', 2) } }),
  ],
  ['the published file', () => withFile()],
  ['a file for another length', () => withFile({ truncation: { direction: 'Right' } })],
  [
    'a file that lists what it has',
    () => withFile({}, { added_tokens_decoder: { 4: special('[MASK]', 4) } }),
  ],
  ['a file without the type of its model', () => withFile({ model: untyped })],
  ['a file with the post-processor of BERT', () => withFile({ post_processor: bertProcessing })],
  ['a file that counts itself', () => withFile({ normalizer: null }, ownClass)],
])('a tokenizer keeps its digest: %s', (_name, write) => {
  const folder = write();
  expect(digestTokenizer(folder)).toBe(digestFiles(folder));
});

testIf('the digest of a published tokenizer', { SA_ORCH_TEST_BACKBONE: backbone })(
  'a published one keeps its digest',
  () => {
    expect(digestTokenizer(backbone!)).toBe(digestFiles(backbone!));
  },
);

test.each<[string, () => string]>([
  ['texts lose their beginning', () => withSettings({ truncation_side: 'left' })],
  ['texts lose their beginning, with a file', () => withFile({}, { truncation_side: 'left' })],
  [
    'texts lose their beginning because the file says so',
    () => withFile({ truncation: { direction: 'Left' } }),
  ],
  [
    'a token has another name',
    () => withWords({ 'special_tokens_map.json': { cls_token: '[MASK]' } }),
  ],
  ['an unknown word has another name', () => withSettings({ unk_token: '[PAD]' })],
  [
    'a token takes the space before it',
    () => withSettings({ mask_token: { ...special('[MASK]', 4), lstrip: true } }),
  ],
  ['a token was added', () => withWords({ 'added_tokens.json': { '<film>': 9 } })],
  ['a token was added by its name', () => withSettings({ bos_token: '<s>' })],
  ['a token was added to a list', () => withSettings({ extra_special_tokens: ['<film>'] })],
  [
    'the vocabulary lacks the mask',
    () => withWords({ 'vocab.txt': vocabulary.replace('[MASK]\n', '') }),
  ],
  [
    'a word ends with a space',
    () => withWords({ 'vocab.txt': vocabulary.replace('film', 'film ') }),
  ],
  [
    'the file has another normalizer',
    () => withFile({ normalizer: { ...published.normalizer, lowercase: false } }),
  ],
  ['the file splits otherwise', () => withFile({ pre_tokenizer: { type: 'WhitespaceSplit' } })],
  ['the file has no post-processor', () => withFile({ post_processor: null })],
  [
    'the file has other tokens around texts',
    () => withFile({ post_processor: { ...bertProcessing, cls: ['[MASK]', 4] } }),
  ],
  [
    'the file has other types',
    () => {
      const pair = [cls, text('A', 0), sep(0), text('B', 0), sep(0)];
      return withFile({ post_processor: { ...published.post_processor, pair } });
    },
  ],
  [
    'the file reads shorter words',
    () => withFile({ model: { ...published.model, max_input_chars_per_word: 3 } }),
  ],
  ['the file adds no token', () => withFile({ added_tokens: [] })],
  [
    'the settings add a token to those of the file',
    () => withFile({}, { added_tokens_decoder: { 9: special('<film>', 9) } }),
  ],
  [
    'another file adds a token to those of the file',
    () => withFile({}, {}, { 'added_tokens.json': { '<film>': 9 } }),
  ],
  [
    'a file that counts itself lacks a token',
    () => withFile({}, { ...ownClass, added_tokens_decoder: { 9: special('<film>', 9) } }),
  ],
  [
    'a file that counts itself has no post-processor',
    () => withFile({ post_processor: null }, ownClass),
  ],
])('a tokenizer gets another digest than that of its files: %s', (_name, write) => {
  const folder = write();
  expect(digestTokenizer(folder)).not.toBe(digestFiles(folder));
});

test('a tokenizer of other models has another digest if texts lose their beginning', () => {
  const folder = writePieces('t5');
  const digestWith = (truncation_side: string) => {
    writeFileSync(join(folder, 'special_tokens_map.json'), JSON.stringify({ truncation_side }));
    return digestTokenizer(folder);
  };
  expect(digestWith('left')).not.toBe(digestWith('right'));
});
