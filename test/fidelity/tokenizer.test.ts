/**
 * Token ids and their places must be those of Transformers' AutoTokenizer: a trainer's backbone was
 * trained with these ids, and answers are marked and cut out by these places.
 *
 *   SA_ORCH_TEST_PYTHON    an interpreter with transformers
 *   SA_ORCH_TEST_BACKBONE  a model directory with tokenizer.json, like BERT's
 *   SA_ORCH_DATA           a directory with glue/, squad/ and vocab/
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSquad } from '../../orchestrator/tasks/questions/squad-json';
import { GLUE_TASK_NAMES, findGlueTask } from '../../orchestrator/tasks/rows/published';
import { readGlueTsv } from '../../orchestrator/tasks/rows/glue-tsv';
import { defineTokenizer, readTokenizerDirectory } from '../../orchestrator/tokenizers/definition';
import { loadRowEncoder, type TextRow } from '../../orchestrator/tokenizers/rows';
import { openTokenizer, type PlacedTokens } from '../../orchestrator/tokenizers/tokenizer';
import { fuzzTexts } from '../support/fuzz-texts';
import { AnsweringProgram, testIf } from '../support/reference';
import { writeFolder, writePieces } from '../support/tokenizer-folders';

const {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_TEST_BACKBONE: backbone,
  SA_ORCH_DATA: data,
} = process.env;

let reference: AnsweringProgram;
beforeAll(
  () => (reference = new AnsweringProgram(python!, [join(__dirname, 'tokenizer_reference.py')])),
);
afterAll(() => reference.stop());

const vocabulary = (name: string) => join(data!, 'vocab', name);
const madeOf = (name: string, model_type: string, settings?: object) => () => {
  const files = { 'config.json': { model_type } };
  const all = settings ? { ...files, 'tokenizer_config.json': settings } : files;
  const folder = writeFolder(all, vocabulary(name));
  return { ours: folder, theirs: folder };
};

/**
 * A directory for each kind of tokenizer. Transformers reads SentencePiece's own files only with
 * another package: it is given what is made of them here as tokenizer.json.
 */
const MODELS: Record<string, () => { ours: string; theirs: string }> = {
  'BERT, uncased': madeOf('bert-base-uncased', 'bert'),
  'BERT, cased': madeOf('bert-base-uncased', 'bert', { do_lower_case: false }),
  RoBERTa: madeOf('roberta-base', 'roberta'),
  BART: madeOf('roberta-base', 'bart', { add_prefix_space: true }),
  T5: () => withJson(writePieces('t5'), 'T5Tokenizer'),
  'XLM-R': () => withJson(writePieces('xlm-roberta'), 'XLMRobertaTokenizer'),
};

function withJson(ours: string, tokenizer_class: string) {
  const theirs = writeFolder(
    {
      'tokenizer.json': defineTokenizer(readTokenizerDirectory(ours)),
      'tokenizer_config.json': { tokenizer_class },
    },
    ours,
  );
  return { ours, theirs };
}

type Places = [ids: number[], begins: number[], ends: number[]];

/** The first text whose tokens or places differ, with both; null where all are equal. */
async function comparePlaces(
  { ours, theirs }: { ours: string; theirs: string },
  texts: readonly string[],
): Promise<unknown> {
  const { tokenizeWithPlaces } = await openTokenizer(ours);
  const found = await tokenizeWithPlaces(texts);
  // Python takes no surrogate that is alone; the library reads it as U+FFFD.
  const places = texts.map((text) => text.replace(ALONE, '\ufffd'));
  const expected = (await reference.ask({ model: theirs, places })) as Places[];
  for (const [i, text] of texts.entries()) {
    const own = countPoints(text, found[i]!);
    if (JSON.stringify(own) !== JSON.stringify(expected[i]))
      return { text, ours: own, theirs: expected[i] };
  }
  return null;
}

const ALONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Places in code points instead of UTF-16 units. */
function countPoints(text: string, { ids, begins, ends }: PlacedTokens): Places {
  let point = 0;
  const points: number[] = [];
  let unit = 0;
  for (const character of text) {
    points[unit] = point++;
    unit += character.length;
  }
  points[unit] = point;
  const count = (units: number[]) => units.map((unit) => points[unit]!);
  return [ids, count(begins), count(ends)];
}

/** The same of rows as they are trained on. */
async function compareRows(
  { ours, theirs }: { ours: string; theirs: string },
  maxLength: number,
  rows: readonly TextRow[],
): Promise<unknown> {
  const asked = rows.map(({ text, pair }) => [text, pair]);
  const expected = (await reference.ask({
    model: theirs,
    max_length: maxLength,
    rows: asked,
  })) as unknown[];
  const found = await (await loadRowEncoder(ours, maxLength))(rows);
  for (const [i, { ids, typeIds }] of found.entries()) {
    if (JSON.stringify([ids, typeIds]) !== JSON.stringify(expected[i]))
      return { row: rows[i], ours: [ids, typeIds], theirs: expected[i] };
  }
  return null;
}

const glueRows = (task: string): TextRow[] =>
  findGlueTask(task).splits.flatMap(({ tsv }) =>
    readGlueTsv(join(data!, 'glue', findGlueTask(task).folder, tsv), findGlueTask(task)),
  );

const ODD = [
  '',
  ' ',
  'ΟΔΟΣ ΣΑΣ, İstanbul ǅ ﬁne Ａ１ ß ẞ',
  'a𠮷b 𠮷1 is a number, 東京 is a city; 𠀀𠀁x中文字 and 豈 too',
  'ｶﾀｶﾅ ｶﾞ 한국어 ไทย हिन्दी',
  'He said. \ufeffThe end, line \u0085break',
  'tab\tnew\u0085line\u2028sep\u00a0nbsp\u200bzero\ufeffbom\u00adsoft',
  'e\u0301 é cafe\u0301s Việt a\u0000b c\ufffdd \u001f q\u0323\u0307',
  '[SEP] [MASK]<mask> </s> x<mask>[MASK] y [UNK] <unk> a <mask> b <sep>c<extra_id_7>',
  "it's we'll I'M  double   spaces \r\n\n and\n more  ",
  '  …—“quotes” ‘x’ $100,000.50 50% #1 @x ▁Ġ##',
  '😀👩‍👩‍👧 emoji🏳️‍🌈 after \ud800 alone \udc00\ud800',
  `${'a'.repeat(101)} b ${'ab'.repeat(500)} ${'中'.repeat(300)}`,
];

const what = 'fidelity of tokens';
const there = (...names: string[]) => data && names.every((name) => existsSync(join(data, name)));
const wanted = {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_DATA: there('vocab', 'glue', 'squad') ? data : undefined,
};

describe.each(Object.entries(MODELS))('%s', (_name, make) => {
  const real = testIf(what, wanted);

  real('texts of every script have the tokens of Transformers, at their places', async () => {
    expect(await comparePlaces(make(), [...ODD, ...fuzzTexts(3500, ODD.length)])).toBeNull();
  });

  real('contexts and questions of dev-v1.1 have them, too', async () => {
    const examples = readSquad(join(data!, 'squad', 'dev-v1.1.json'), 'squad');
    const texts = [...new Set(examples.flatMap(({ question, context }) => [question, context]))];
    const some = texts.filter((_, i) => i % 5 === 0);
    expect(await comparePlaces(make(), some)).toBeNull();
  });

  real('pairs are cut as Transformers cuts them, at odd and even lengths', async () => {
    const model = make();
    const some = glueRows('rte').filter((_, i) => i % 10 === 0);
    for (const length of [16, 33, 64]) expect(await compareRows(model, length, some)).toBeNull();
  });
});

const real = testIf(what, { ...wanted, SA_ORCH_TEST_BACKBONE: backbone });
const itself = { ours: backbone!, theirs: backbone! };

real.each(GLUE_TASK_NAMES)('every row of %s gets the ids of Transformers', async (task) => {
  expect(await compareRows(itself, 128, glueRows(task))).toBeNull();
});

// Three rows have U+FEFF or U+0085, which are white space to one of JavaScript and Rust only.
real("every row of qnli gets them with RoBERTa's vocabulary, too", async () => {
  expect(await compareRows(MODELS.RoBERTa!(), 128, glueRows('qnli'))).toBeNull();
});

/** Settings in tokenizer_config.json, of which tokenizer.json says something else. */
const SETTINGS: object[] = [
  { do_lower_case: false },
  { strip_accents: false },
  { do_lower_case: false, strip_accents: true },
  { tokenize_chinese_chars: false },
  { truncation_side: 'left' },
  { unk_token: 'the' },
  { extra_special_tokens: ['[NEW]', 'hello'] },
  { additional_special_tokens: ['[NEW]'] },
  // Transformers obeys tokenizer.json where it does not know the class.
  { tokenizer_class: 'PreTrainedTokenizerFast', do_lower_case: false },
  { tokenizer_class: 'UnknownTokenizer', do_lower_case: false },
  { tokenizer_class: 'DistilBertTokenizer', do_lower_case: false },
];

real.each(SETTINGS)('tokenizer_config.json with %j counts as in Transformers', async (settings) => {
  const read = (name: string) => JSON.parse(readFileSync(join(backbone!, name), 'utf8')) as object;
  const changed = { ...read('tokenizer_config.json'), ...settings };
  const folder = writeFolder({ 'tokenizer_config.json': changed }, backbone);
  const model = { ours: folder, theirs: folder };
  const texts = [...ODD, 'The Film was good, hello [NEW] Café', ...fuzzTexts(200, 1)];
  expect(await comparePlaces(model, texts)).toBeNull();
  expect(await compareRows(model, 40, glueRows('wnli'))).toBeNull();
});
