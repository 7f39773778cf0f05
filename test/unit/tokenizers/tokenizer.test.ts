import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadRowEncoder } from '../../../orchestrator/tokenizers/rows';
import { parseSentencePiece } from '../../../orchestrator/tokenizers/sentencepiece';
import { openTokenizer } from '../../../orchestrator/tokenizers/tokenizer';
import {
  LOWERCASING,
  TINY_PIECES,
  writeFolder,
  writePieces,
} from '../../support/tokenizer-folders';

const WORDS = '[PAD] [UNK] [CLS] [SEP] [MASK] the film was Film The good a b c'.split(' ');
const vocabulary = `${WORDS.join('\n')}\n`;
const config = { model_type: 'bert' };

/** A BERT of these words, with settings beside the vocabulary. */
const bert = (settings: object, files: Record<string, string | object> = {}) =>
  writeFolder({
    'vocab.txt': vocabulary,
    'config.json': config,
    'tokenizer_config.json': settings,
    ...files,
  });

async function words(folder: string, text: string): Promise<string> {
  const [ids] = await (await openTokenizer(folder)).tokenize([text]);
  return ids!.map((id) => WORDS[id]).join(' ');
}

describe('a tokenizer', () => {
  const lowercases = {
    added_tokens: [],
    normalizer: LOWERCASING,
    pre_tokenizer: { type: 'BertPreTokenizer' },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
    },
  };
  const both = (settings: object) => bert(settings, { 'tokenizer.json': lowercases });

  test('of a known class obeys tokenizer_config.json, not tokenizer.json', async () => {
    expect(await words(both({ do_lower_case: false }), 'The Film')).toBe('The Film');
    expect(await words(both({}), 'The Film')).toBe('the film');
  });

  test('of a known class is known in files that do not name the type of their model', async () => {
    const model = { ...lowercases.model, type: undefined };
    const folder = bert({ do_lower_case: false }, { 'tokenizer.json': { ...lowercases, model } });
    expect(await words(folder, 'The Film')).toBe('The Film');
  });

  test('of another class obeys tokenizer.json', async () => {
    const settings = { do_lower_case: false, tokenizer_class: 'PreTrainedTokenizerFast' };
    expect(await words(both(settings), 'The Film')).toBe('the film');
  });

  test.each([
    ['its settings', () => bert({ truncation_side: 'left' })],
    [
      'its file',
      () => bert({}, { 'tokenizer.json': { ...lowercases, truncation: { direction: 'Left' } } }),
    ],
  ])('may cut the beginning of a text as %s has it', async (_name, write) => {
    const encode = await loadRowEncoder(write(), 5);
    const [row] = await encode([{ text: 'a b c good', pair: null }]);
    expect(row).toMatchObject({ ids: [2, 12, 13, 10, 3], truncated: true });
  });
});

describe('a model of SentencePiece', () => {
  test('has pieces with scores, some of which are no text, and replaced characters', () => {
    const { pieces, charsmap } = parseSentencePiece('x', readFileSync(TINY_PIECES));
    expect(pieces).toHaveLength(600);
    expect(pieces.slice(0, 5)).toEqual([
      { text: '<pad>', score: 0, isControl: true, isUserDefined: false },
      { text: '</s>', score: 0, isControl: true, isUserDefined: false },
      { text: '<unk>', score: 0, isControl: false, isUserDefined: false },
      { text: '<sep>', score: 0, isControl: false, isUserDefined: true },
      { text: '▁', score: -2.045513153076172, isControl: false, isUserDefined: false },
    ]);
    expect(charsmap!.readUInt32LE()).toBeLessThan(charsmap!.length);
  });

  test('is read from a directory like those of T5', async () => {
    const { tokenizeWithPlaces, single, paired, decode } = await openTokenizer(writePieces('t5'));
    const text = 'ﬁne 𠮷 the rate';
    const [placed] = await tokenizeWithPlaces([text]);
    const { ids, begins, ends } = placed!;
    const at = ids.map((_, i) => text.slice(begins[i], ends[i]));
    expect(at.join('|')).toBe('ﬁ|ﬁ|ﬁn|e|𠮷|𠮷|the|r|rate');
    expect(await decode([ids, []])).toEqual(['fine  the rate', '']);
    expect(single.fill([7], [])).toEqual({ ids: [7, 1], typeIds: [0, 0] });
    expect(paired.fill([7], [8, 9]).ids).toEqual([7, 1, 8, 9, 1]);
  });

  test('is named if it is cut off or something else', async () => {
    const folder = writePieces('t5');
    const file = join(folder, 'spiece.model');
    for (const content of [readFileSync(file).subarray(0, 5000), 'text', '']) {
      writeFileSync(file, content);
      await expect(openTokenizer(folder)).rejects.toThrow(
        `${file}: must be a unigram model of SentencePiece`,
      );
    }
  });
});

describe('a directory is refused by name', () => {
  const refused = (folder: string) => expect(openTokenizer(folder)).rejects;

  test('without a tokenizer', async () => {
    await refused(writeFolder({})).toThrow(/has no tokenizer\.json, and no tokenizer_class/);
    await refused(writeFolder({ 'config.json': config })).toThrow(
      /has no tokenizer; must have tokenizer\.json or vocab\.txt/,
    );
    const phobert = writeFolder({
      'config.json': { model_type: 'roberta' },
      'vocab.txt': vocabulary,
      'tokenizer_config.json': { tokenizer_class: 'PhobertTokenizer' },
    });
    await refused(phobert).toThrow(/which tokenizer_class PhobertTokenizer needs/);
  });

  test('with a vocabulary that lacks a special token', async () => {
    await refused(writeFolder({ 'config.json': config, 'vocab.txt': 'a\nb\n' })).toThrow(
      /its vocabulary has no \[CLS\]; must be a vocabulary of BertTokenizer/,
    );
  });

  test('with a file that the library cannot read', async () => {
    const model = { type: 'BPE', vocab: { a: 0 }, merges: ['a b'] };
    await refused(writeFolder({ 'tokenizer.json': { model } })).toThrow(
      /its tokenizer is broken: Token `b` out of vocabulary/,
    );
    await refused(writeFolder({ 'tokenizer.json': '{"model"' })).toThrow(/is not valid JSON/);
    await refused(writeFolder({ 'tokenizer.json': {} })).toThrow(/has no model/);
  });

  // The library would end the process.
  test('with an incomplete table of characters', async () => {
    const normalizer = { type: 'Precompiled', precompiled_charsmap: 'AAAA' };
    const model = { type: 'Unigram', unk_id: 0, vocab: [['a', 0]] };
    await refused(writeFolder({ 'tokenizer.json': { normalizer, model } })).toThrow(
      /its tokenizer is broken: precompiled_charsmap is incomplete/,
    );
  });
});

test('long texts take time in proportion to their length', async () => {
  const texts = ['party agreement shall '.repeat(16_000), '合同双方同意许可公司'.repeat(10_000)];
  for (const folder of [bert({}), writePieces('t5')]) {
    const { tokenizeWithPlaces } = await openTokenizer(folder);
    const before = process.cpuUsage();
    await tokenizeWithPlaces(texts);
    const { user, system } = process.cpuUsage(before);
    // Half a second; what is quadratic takes half a minute.
    expect((user + system) / 1e6).toBeLessThan(8);
  }
});
