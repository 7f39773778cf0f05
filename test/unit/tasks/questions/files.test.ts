import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sweepConfigFrom } from '../../../../orchestrator/config/load';
import { prepareDataset } from '../../../../orchestrator/tasks/prepare';
import { readQuestionSplit } from '../../../../orchestrator/tasks/questions/files';
import { resolveDatasets } from '../../../../orchestrator/tasks/resolve';
import { readSafetensors } from '../../../../orchestrator/datasets/safetensors';
import { backbone } from '../../support/plans';
import { CONTEXT, NOBODY, squadJson, WHEN, WHO, WORDS, writeModel } from './support/questions';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-prepare-'));
const model = join(folder, 'model');
const write = (name: string, content: string) => writeFileSync(join(folder, name), content);

beforeAll(() => writeModel(model));
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  write('train-v2.0.json', squadJson([WHO, NOBODY]));
  write('dev-v2.0.json', squadJson([WHEN]));
});

/** @param which of the data sets: with a search, the second one has held-out rows */
async function resolve(settings: Record<string, unknown> = {}, which = 0) {
  const config = sweepConfigFrom('t', {
    tasks: 'squad_v2',
    max_length: 14,
    doc_stride: 4,
    ...settings,
  });
  const datasets = await resolveDatasets(config, {
    dataDir: folder,
    env: {},
    backbone: { ...backbone(), path: model },
  });
  return datasets[which]!;
}

let roots = 0;
const root = () => join(folder, `root${roots++}`);

test('a prepared question set has one row per window: its tokens, its answer’s place', async () => {
  const dataset = await resolve();
  const { path, splits, ...described } = await prepareDataset(dataset, model, root());
  const tensors = readSafetensors(join(path, 'train.safetensors'));
  const numbers = (name: string) => Array.from(tensors.get(name)!.data, Number);
  const offsets = numbers('offsets');
  const rows = offsets.slice(1).map((end, i) =>
    numbers('input_ids')
      .slice(offsets[i], end)
      .map((id) => WORDS[id])
      .join(' '),
  );
  expect(rows).toEqual([
    '[CLS] who sat ? [SEP] the cat sat on monday . a dog [SEP]',
    '[CLS] who sat ? [SEP] monday . a dog ran on friday . [SEP]',
    '[CLS] when ran the cat ? [SEP] the cat sat on monday . [SEP]',
    '[CLS] when ran the cat ? [SEP] sat on monday . a dog [SEP]',
    '[CLS] when ran the cat ? [SEP] monday . a dog ran on [SEP]',
    '[CLS] when ran the cat ? [SEP] a dog ran on friday . [SEP]',
  ]);
  expect(numbers('start_positions')).toEqual([5, 0, 0, 0, 0, 0]);
  expect(numbers('end_positions')).toEqual([6, 0, 0, 0, 0, 0]);
  expect(numbers('token_type_ids').slice(0, 14)).toEqual([
    0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  ]);
  for (const name of ['start_positions', 'example_index'])
    expect(tensors.get(name)!.data).toBeInstanceOf(Int32Array);
  expect(described).toHaveProperty('questions', { doc_stride: 4, no_answer: true });
  expect(splits).toEqual([
    { name: 'train', rows: 2, features: 6, tokens: 84, longest: 14, truncated: 0 },
    { name: 'validation', rows: 1, features: 4, tokens: 56, longest: 14, truncated: 0 },
  ]);
  expect(dataset.splits.map(({ features }) => features)).toEqual([6, 4]);
});

test('the way back to text is stored beside it', async () => {
  const { path } = await prepareDataset(await resolve(), model, root());
  const { examples, features } = readQuestionSplit(path, 'train');
  expect(examples).toEqual([
    { id: 'q0', context: CONTEXT, answers: [{ text: 'The cat', start: 0 }] },
    { id: 'q1', context: CONTEXT, answers: [] },
  ]);
  expect(
    features
      .map(({ example, contextBegin, from, to }) => [example, contextBegin, from, to])
      .slice(0, 3),
  ).toEqual([
    [0, 5, 0, 14],
    [0, 5, 14, 28],
    [1, 7, 28, 42],
  ]);
  const { begins, ends } = features[1]!;
  expect(begins.map((begin, i) => CONTEXT.slice(begin, ends[i]))).toEqual([
    'Monday',
    '.',
    'A',
    'dog',
    'ran',
    'on',
    'Friday',
    '.',
  ]);
});

test('the chosen questions alone are written', async () => {
  const { path, splits } = await prepareDataset(await resolve({ rows: 1 }), model, root());
  expect(splits[0]).toMatchObject({ rows: 1 });
  expect(readFileSync(join(path, 'train.examples.jsonl'), 'utf8').trim().split('\n')).toHaveLength(
    1,
  );
});

test.each([
  ['in its questions', squadJson([WHEN, WHO])],
  ['to something else', '{}'],
])(
  'a file of questions that changed %s since it was planned is refused',
  async (_what, content) => {
    const dataset = await resolve();
    write('dev-v2.0.json', content);
    await expect(prepareDataset(dataset, model, root())).rejects.toThrow(
      'dev-v2.0.json: has changed since the sweep was planned',
    );
  },
);

test('a file without the way back is named', async () => {
  const { path } = await prepareDataset(await resolve(), model, root());
  rmSync(join(path, 'train.examples.jsonl'));
  expect(() => readQuestionSplit(path, 'train')).toThrow(
    `${path}/train.examples.jsonl: there is no such file`,
  );
});

test('held-out questions are of other contexts than those that are trained on', async () => {
  const contexts = ['The cat sat on Monday.', 'The cat sat on Friday.', 'The cat sat. A dog ran.'];
  const paragraphs = contexts.flatMap((context) => {
    const { data } = JSON.parse(squadJson([WHO, NOBODY], context)) as {
      data: { paragraphs: { qas: { id: string }[] }[] }[];
    };
    const [paragraph] = data[0]!.paragraphs;
    for (const qa of paragraph!.qas) qa.id = `${contexts.indexOf(context)}-${qa.id}`;
    return data[0]!.paragraphs;
  });
  write('train-v2.0.json', JSON.stringify({ version: '2.0', data: [{ title: 'x', paragraphs }] }));
  const heldOut = await resolve(
    { search: { over: 'dropout', on: { hold_out: 0.2 } }, train: { dropout: [0, 0.1] } },
    1,
  );
  const { path, splits } = await prepareDataset(heldOut, model, root());
  const asked = ['train', 'validation'].map((split) =>
    readQuestionSplit(path, split).examples.map(({ context }) => context),
  );
  expect(asked.map(({ length }) => length)).toEqual([4, 2]);
  expect(asked[0]!.some((context) => asked[1]!.includes(context))).toBe(false);
  expect(splits.map(({ rows, features }) => [rows, features])).toEqual(
    heldOut.splits.map(({ rows, features }) => [rows, features]),
  );
});
