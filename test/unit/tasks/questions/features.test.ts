import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadQaTokenizer, type QaFeature } from '../../../../orchestrator/tasks/questions/features';
import type { SquadExample } from '../../../../orchestrator/tasks/questions/squad-json';
import { openTokenizer, type PlacedTokens } from '../../../../orchestrator/tokenizers/tokenizer';

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

function modelDir(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-qa-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

const WORDS =
  '[PAD] [UNK] [CLS] [SEP] [MASK] who ? cafe ##s a b c d e f g h 水 i ##̇ ss . the'.split(' ');
const bert = modelDir({
  'vocab.txt': `${WORDS.join('\n')}\n`,
  'config.json': '{"model_type": "bert"}',
});

/** Every byte is a token, and so is "the" with and without a space before it. */
function byteLevel(): string {
  const letters = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const prints = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    letters.push(String.fromCharCode(prints ? byte : next++));
  }
  const tokens = ['<s>', '<pad>', '</s>', '<unk>', ...letters, 'th', 'the', 'Ġthe', '<mask>'];
  return modelDir({
    'vocab.json': JSON.stringify(Object.fromEntries(tokens.map((token, id) => [token, id]))),
    'merges.txt': '#version: 0.2\nt h\nth e\nĠ the\n',
    'config.json': '{"model_type": "roberta"}',
  });
}
const roberta = byteLevel();

/** Each token with what stands at its place. */
async function placed(model: string, text: string): Promise<[string | number, string, number][]> {
  const { tokenizeWithPlaces } = await openTokenizer(model);
  const [{ ids, begins, ends }] = (await tokenizeWithPlaces([text])) as [PlacedTokens];
  return ids.map((id, i) => [
    model === bert ? WORDS[id]! : id,
    text.slice(begins[i], ends[i]),
    begins[i]!,
  ]);
}

describe('places of WordPiece tokens', () => {
  test.each<[string, string, [string, string, number][]]>([
    [
      'letters that lose their accents and capitals',
      'Cafés A\u0301b',
      [
        ['cafe', 'Café', 0],
        ['##s', 's', 4],
        ['[UNK]', 'A\u0301b', 6],
      ],
    ],
    ['a letter that is two in lower case', 'İ', [['i', 'İ', 0]]],
    [
      'characters that are words',
      'a水b',
      [
        ['a', 'a', 0],
        ['水', '水', 1],
        ['b', 'b', 2],
      ],
    ],
    [
      'what is removed within and between words',
      'ca\u200bfe\u0000 \u00adb',
      [
        ['cafe', 'ca\u200bfe', 0],
        ['b', 'b', 8],
      ],
    ],
    [
      'white space of every kind, and characters beyond 16 bits',
      '\u00a0𝄞\t b',
      [
        ['[UNK]', '𝄞', 1],
        ['b', 'b', 5],
      ],
    ],
    [
      'special tokens in a text',
      'a[SEP] b',
      [
        ['a', 'a', 0],
        ['[SEP]', '[SEP]', 1],
        ['b', 'b', 7],
      ],
    ],
    ['an empty text', '', []],
  ])('%s', async (_what, text, expected) => {
    expect(await placed(bert, text)).toEqual(expected);
  });
});

describe('places of byte-level tokens', () => {
  const the = 4 + 256 + 2;
  test('leave out the space before a word, and stand at the character of their byte', async () => {
    const tokens = await placed(roberta, 'the the é  \n');
    expect(tokens.map(([, text, begin]) => [text, begin])).toEqual([
      ['the', 0],
      ['the', 4],
      ['', 8],
      ['é', 8],
      ['é', 8],
      ['', 10],
      ['', 11],
      ['\n', 11],
    ]);
    expect(tokens.slice(0, 2).map(([id]) => id)).toEqual([the - 1, the]);
  });

  test('leave out a space that the tokenizer puts before the text', async () => {
    const spaced = modelDir({ 'tokenizer_config.json': '{"add_prefix_space": true}' });
    for (const name of ['vocab.json', 'merges.txt', 'config.json'])
      copyFileSync(join(roberta, name), join(spaced, name));
    expect(await placed(spaced, 'the')).toEqual([[the, 'the', 0]]);
  });
});

describe('features of a question', () => {
  const context = 'a b c d e f g h';
  const answered = (start: number, text: string, question = 'who?'): SquadExample => ({
    id: 'q',
    question,
    context,
    answers: [{ text, start }],
  });
  // [CLS] who ? [SEP] … [SEP] leaves room for 4 of the 8 context tokens.
  const options = { max_length: 9, stride: 2 };
  const encode = async (...examples: SquadExample[]) =>
    (await loadQaTokenizer(bert, options))(examples);
  const words = ({ ids }: QaFeature) => ids.map((id) => WORDS[id]).join(' ');

  test('are windows that overlap by the stride, up to the one that reaches the end', async () => {
    expect((await encode(answered(0, 'a'))).map(words)).toEqual([
      '[CLS] who ? [SEP] a b c d [SEP]',
      '[CLS] who ? [SEP] c d e f [SEP]',
      '[CLS] who ? [SEP] e f g h [SEP]',
    ]);
  });

  test('say where their tokens stand in the context, and which text a token is of', async () => {
    const [, second] = await encode(answered(0, 'a'));
    expect(second).toMatchObject({
      contextBegin: 4,
      begins: [4, 6, 8, 10],
      ends: [5, 7, 9, 11],
      typeIds: [0, 0, 0, 0, 1, 1, 1, 1, 1],
    });
  });

  test('mark the answer if the window has all of it, and the first token elsewhere', async () => {
    const marked = (await encode(answered(6, 'd e'))).map(({ startPosition, endPosition }) => [
      startPosition,
      endPosition,
    ]);
    expect(marked).toEqual([
      [0, 0],
      [5, 6],
      [0, 0],
    ]);
  });

  test("mark an answer in the window's last token, and one within a token", async () => {
    expect((await encode(answered(14, 'h'))).at(-1)).toMatchObject({
      startPosition: 7,
      endPosition: 7,
    });
    const inside: SquadExample = {
      id: 'q',
      question: 'who?',
      context: 'the cafes',
      answers: [{ text: 'af', start: 5 }],
    };
    expect(await encode(inside)).toMatchObject([{ startPosition: 5, endPosition: 5 }]);
  });

  test('mark the first of several answers, and none where there is no answer', async () => {
    const several = {
      ...answered(2, 'b'),
      answers: [
        { text: 'b', start: 2 },
        { text: 'a', start: 0 },
      ],
    };
    expect((await encode(several))[0]).toMatchObject({ startPosition: 5, endPosition: 5 });
    expect((await encode({ ...several, answers: [] }))[0]).toMatchObject({
      startPosition: 0,
      endPosition: 0,
    });
  });

  test('lead back to their examples', async () => {
    const short = { ...answered(0, 'a'), context: 'a b' };
    expect((await encode(short, answered(0, 'a'), short)).map(({ example }) => example)).toEqual([
      0, 1, 1, 1, 2,
    ]);
  });

  test('of a byte-level tokenizer have two separators between question and context', async () => {
    const encodeBytes = await loadQaTokenizer(roberta, { max_length: 12, stride: 2 });
    const [feature] = await encodeBytes([answered(2, 'b', '  ?')]);
    const { ids, contextBegin, typeIds, startPosition } = feature!;
    expect([ids[0], ids.slice(2, 4), ids.at(-1), contextBegin, startPosition]).toEqual([
      0,
      [2, 2],
      2,
      4,
      6,
    ]);
    expect(new Set(typeIds)).toEqual(new Set([0]));
  });

  test('need more room for a context than the stride: longer questions are refused', async () => {
    const long = { ...answered(0, 'a', 'who who who ?'), id: 'long' };
    const problem = new Error(
      'question long: has 4 tokens; ' +
        'must be at most 3 to leave room for a context with max_length 9 and stride 2',
    );
    await expect(encode(answered(0, 'a'), long)).rejects.toThrow(problem);
  });
});
