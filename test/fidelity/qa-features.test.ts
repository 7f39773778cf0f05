/**
 * Features of questions must be Transformers' on every row: answers are marked in them.
 *
 *   SA_ORCH_TEST_PYTHON    an interpreter with transformers
 *   SA_ORCH_TEST_BACKBONE  a model directory with tokenizer.json
 *   SA_ORCH_DATA           a directory with squad/ and vocab/
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadQaTokenizer } from '../../orchestrator/tasks/questions/features';
import { readSquad, type SquadExample } from '../../orchestrator/tasks/questions/squad-json';
import { AnsweringProgram, testIf } from '../support/reference';
import { writeFolder } from '../support/tokenizer-folders';

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
  const encode = await loadQaTokenizer(model, { max_length: maxLength, stride });
  for (const feature of await encode(examples)) {
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

const withType = (model_type: string, path: string | undefined) =>
  path && writeFolder({ 'config.json': { model_type } }, path);

const MODELS: Record<string, Record<string, string | undefined>> = {
  'MiniLM (tokenizer.json)': { SA_ORCH_TEST_BACKBONE: backbone },
  'bert-base-uncased (vocab.txt)': {
    SA_ORCH_DATA: withType('bert', inData('vocab', 'bert-base-uncased')),
  },
  'roberta-base (vocab.json, merges.txt)': {
    SA_ORCH_DATA: withType('roberta', inData('vocab', 'roberta-base')),
  },
};

describe.each(Object.entries(MODELS))('%s', (_name, wanted) => {
  const model = Object.values(wanted)[0]!;
  const real = testIf('fidelity of question answering', {
    SA_ORCH_TEST_PYTHON: python,
    ...wanted,
    SA_ORCH_DATA: inData('squad'),
  });

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
