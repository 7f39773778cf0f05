/**
 * Places of tokens and features of questions must be Transformers' on every row: answers are marked
 * in them and cut out of texts by them.
 *
 *   SA_ORCH_TEST_PYTHON    an interpreter with transformers
 *   SA_ORCH_TEST_BACKBONE  a model directory with tokenizer.json
 *   SA_ORCH_DATA           a directory with squad/ and vocab/
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadQaTokenizer } from '../../orchestrator/tasks/questions/features';
import { readSquad, type SquadExample } from '../../orchestrator/tasks/questions/squad-json';
import { placedTokenizer } from '../../orchestrator/tokenizers/token-offsets';
import { openTokenizer } from '../../orchestrator/tokenizers/tokenizer';
import { AnsweringProgram, testIf } from '../support/reference';

const {
  SA_ORCH_TEST_PYTHON: python,
  SA_ORCH_TEST_BACKBONE: backbone,
  SA_ORCH_DATA: data,
} = process.env;
const inData = (...names: string[]) => {
  const path = data && join(data, ...names);
  return path && existsSync(path) ? path : undefined;
};
const squad = (name: string) =>
  readSquad(join(data!, 'squad', name), name.includes('v2') ? 'squad_v2' : 'squad');

/** From UTF-16 units to code points. */
const points = (text: string, unit: number) =>
  /[\ud800-\udfff]/.test(text) ? [...text.slice(0, unit)].length : unit;
const placesIn = (text: string, begins: number[], ends: number[]) =>
  begins.map((begin, i) => [points(text, begin), points(text, ends[i]!)]);

/** The first difference; null where all are equal. */
function firstDifference(ours: unknown[], theirs: unknown[], asked: readonly unknown[]): unknown {
  const at = ours.findIndex((each, i) => JSON.stringify(each) !== JSON.stringify(theirs[i]));
  return at === -1
    ? null
    : { asked: asked[at], ours: JSON.stringify(ours[at]), theirs: JSON.stringify(theirs[at]) };
}

let reference: AnsweringProgram;
beforeAll(() => (reference = new AnsweringProgram(python!, [join(__dirname, 'qa_reference.py')])));
afterAll(() => reference.stop());

async function comparePlaces(model: string, texts: string[]): Promise<unknown> {
  const tokenize = placedTokenizer(openTokenizer(model));
  const ours = texts.map((text) => {
    const { ids, begins, ends } = tokenize(text);
    return [ids, placesIn(text, begins, ends)];
  });
  return firstDifference(ours, (await reference.ask({ model, places: texts })) as unknown[], texts);
}

async function compareFeatures(
  model: string,
  examples: SquadExample[],
  maxLength: number,
  stride: number,
): Promise<unknown> {
  const rows = examples.map(({ question, context, answers: [answer] }) => {
    return [question, context, answer ? [answer.text, points(context, answer.start)] : null];
  });
  const theirs = (await reference.ask({
    model,
    features: rows,
    max_length: maxLength,
    stride,
  })) as unknown[];
  const ours: unknown[][] = rows.map(() => []);
  for (const feature of loadQaTokenizer(model, { max_length: maxLength, stride })(examples)) {
    const { example, ids, begins, ends, startPosition, endPosition } = feature;
    ours[example]!.push([
      ids,
      placesIn(examples[example]!.context, begins, ends),
      startPosition,
      endPosition,
    ]);
  }
  return firstDifference(ours, theirs, rows);
}

const ODD = [
  '',
  ' ',
  'ΟΔΟΣ ΣΑΣ, İstanbul ǅ ﬁne Ａ１ ß ẞ',
  '𠀀𠀁x中文字 and 豈 too',
  'ｶﾀｶﾅ 한국어 ไทย हिन्दी',
  'tab\tnew\u0085line\u2028sep\u00a0nbsp\u200bzero\ufeffbom\u00adsoft',
  'e\u0301 é cafe\u0301s Việt a\u0000b c\ufffdd \u001f q\u0323\u0307',
  '[SEP] [MASK]<mask> </s> x<mask>[MASK] y [UNK] <unk>',
  "it's we'll I'M  double   spaces \r\n\n and\n more  ",
  '  …—“quotes” ‘x’ $100,000.50 50% #1 @x',
  '😀👩‍👩‍👧 emoji🏳️‍🌈 after',
  `${'a'.repeat(101)} b`,
];

const MODELS = {
  'MiniLM (tokenizer.json)': { SA_ORCH_TEST_BACKBONE: backbone },
  'bert-base-uncased (vocab.txt)': { SA_ORCH_DATA: inData('vocab', 'bert-base-uncased') },
  'roberta-base (vocab.json, merges.txt)': { SA_ORCH_DATA: inData('vocab', 'roberta-base') },
};

describe.each(Object.entries(MODELS))('%s', (_name, wanted) => {
  const model = Object.values(wanted)[0]!;
  const what = 'fidelity of question answering';
  const odd = testIf(what, { SA_ORCH_TEST_PYTHON: python, ...wanted });
  const real = testIf(what, {
    SA_ORCH_TEST_PYTHON: python,
    ...wanted,
    SA_ORCH_DATA: inData('squad'),
  });

  odd('texts of every script have their tokens where Transformers has them', async () => {
    expect(await comparePlaces(model, ODD)).toBeNull();
  });

  real(
    'every context and question of dev-v1.1 has the ids and places that Transformers gives',
    async () => {
      const examples = squad('dev-v1.1.json');
      const texts = [...new Set(examples.flatMap(({ question, context }) => [question, context]))];
      expect(await comparePlaces(model, texts)).toBeNull();
    },
  );

  real.each([
    ['dev-v2.0.json', 384, 128],
    ['dev-v2.0.json', 128, 40],
  ])(
    'every question of %s has the features that Transformers gives, of %i tokens with %i in common',
    async (file, maxLength, stride) => {
      expect(await compareFeatures(model, squad(file), maxLength, stride)).toBeNull();
    },
  );
});
