import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sweepConfigFrom } from '../../../../orchestrator/config/load';
import { prepareDataset } from '../../../../orchestrator/tasks/prepare';
import { resolveDatasets } from '../../../../orchestrator/tasks/resolve';
import { readSafetensors } from '../../../../orchestrator/datasets/safetensors';
import { backbone } from '../../support/plans';
import { WORDS, writeVocabulary } from './support/vocabulary';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-data-'));
const model = join(folder, 'model');
const glue = join(folder, 'rows', 'glue');
const offline = { HF_HUB_OFFLINE: '1', HF_HOME: join(folder, 'no-cache') };
const planned = { ...backbone(), path: model };

beforeEach(() => {
  writeVocabulary(model);
  mkdirSync(join(glue, 'RTE'), { recursive: true });
  const header = 'index\tsentence1\tsentence2\tlabel\n';
  const rows = [
    'The cat sat.\tA cat sat',
    'The dogs ran.\tThe cats sat',
    'the\tcat',
    'a dog\ta dog',
  ];
  writeFileSync(
    join(glue, 'RTE', 'train.tsv'),
    header +
      rows.map((row, i) => `${i}\t${row}\t${i % 2 ? 'not_entailment' : 'entailment'}\n`).join(''),
  );
  writeFileSync(join(glue, 'RTE', 'dev.tsv'), `${header}0\tthe cat\ta dog\tnot_entailment\n`);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function resolve(
  settings: Record<string, unknown> = {},
  dataDir: string | null = join(folder, 'rows'),
  env: NodeJS.ProcessEnv = offline,
) {
  return resolveDatasets(sweepConfigFrom('t', { tasks: 'rte', max_length: 32, ...settings }), {
    dataDir,
    env,
    backbone: planned,
  });
}

describe('resolveDatasets', () => {
  test("finds GLUE's folders in the directory or in its folder glue", async () => {
    const [outer] = await resolve();
    const [inner] = await resolve({}, glue);
    expect(outer).toEqual(inner);
    expect(outer).toMatchObject({
      task: 'rte',
      source: 'files',
      num_labels: 2,
      metrics: ['accuracy'],
    });
    expect(outer!.splits.map(({ name, rows, of }) => [name, rows, of])).toEqual([
      ['train', 4, 4],
      ['validation', 1, 1],
    ]);
  });

  test('takes SA_ORCH_DATA where no directory is given', async () => {
    expect((await resolve({}, null, { ...offline, SA_ORCH_DATA: glue }))[0]!.source).toBe('files');
  });

  test('generates demo rows without a directory and a hub, and says why', async () => {
    const notices: string[] = [];
    const config = sweepConfigFrom('t', { tasks: ['rte', 'stsb'], max_length: 32 });
    const datasets = await resolveDatasets(config, {
      env: offline,
      backbone: planned,
      onNotice: (text) => notices.push(text),
    });
    expect(datasets.map(({ source, splits }) => [source, splits[0]!.file])).toEqual([
      ['demo', null],
      ['demo', null],
    ]);
    expect(notices).toEqual([
      expect.stringContaining('HF_HUB_OFFLINE is set: demo rows are generated, which are not GLUE'),
    ]);
  });

  test('refuses a directory that lacks a task’s files: no other rows replace them', async () => {
    await expect(resolve({ tasks: 'cola' })).rejects.toThrow(
      /--data-dir .* has no .*CoLA\/train.tsv, which task cola needs/,
    );
  });

  test('refuses training rows without labels', async () => {
    writeFileSync(join(glue, 'RTE', 'train.tsv'), 'index\tsentence1\tsentence2\n0\ta\tb\n');
    await expect(resolve()).rejects.toThrow(
      'train.tsv: row 1 has no label; train must have a column "label"',
    );
  });

  test("refuses a max_length beyond the backbone's positions", async () => {
    await expect(resolve({ max_length: 65 })).rejects.toThrow(
      'max_length: 65 is not allowed; all-MiniLM-L6-v2 has 64 positions',
    );
  });

  test('the digest depends neither on paths nor on a limit that cuts nothing', async () => {
    const [here] = await resolve();
    cpSync(glue, join(folder, 'moved'), { recursive: true });
    expect((await resolve({ rows: 100 }, join(folder, 'moved')))[0]!.digest).toBe(here!.digest);
  });

  test.each([
    [
      'the rows',
      () =>
        writeFileSync(
          join(glue, 'RTE', 'dev.tsv'),
          'index\tsentence1\tsentence2\tlabel\n0\ta\ta\tentailment\n',
        ),
      {},
    ],
    ['the choice of rows', () => {}, { rows: 3 }],
    ['max_length', () => {}, { max_length: 16 }],
    [
      'the tokenizer',
      () => writeFileSync(join(model, 'vocab.txt'), `${WORDS.join('\n')}\nmore\n`),
      {},
    ],
  ])('the digest changes with %s', async (_what, change, settings) => {
    const [before] = await resolve();
    change();
    expect((await resolve(settings))[0]!.digest).not.toBe(before!.digest);
  });
});

describe('held-out rows', () => {
  const SEARCH = {
    search: { over: 'dropout', on: { hold_out: 0.25 } },
    train: { dropout: [0, 0.1] },
  };

  test('are training rows of a data set of their own, behind those of all tasks', async () => {
    const [whole] = await resolve();
    const [ordinary, heldOut, ...others] = await resolve(SEARCH);
    expect(others).toEqual([]);
    expect(ordinary).toEqual(whole);
    expect(heldOut).toMatchObject({ task: 'rte', held_out: { fraction: 0.25 } });
    const file = join(glue, 'RTE', 'train.tsv');
    expect(heldOut!.splits).toMatchObject([
      { name: 'train', file, rows: 3, of: 4, class_rows: [2, 1] },
      { name: 'validation', file, rows: 1, of: 4, class_rows: [0, 1], also_in_train: 0 },
    ]);
    expect(heldOut!.digest).not.toBe(whole!.digest);
    const half = { ...SEARCH, search: { ...SEARCH.search, on: { hold_out: 0.3 } } };
    expect((await resolve(half))[1]!.digest).not.toBe(heldOut!.digest);
  });

  test('are prepared as they were planned', async () => {
    const [, heldOut] = await resolve(SEARCH);
    const { path, splits } = await prepareDataset(heldOut!, model, join(folder, 'root'));
    expect(splits.map(({ name, rows }) => [name, rows])).toEqual([
      ['train', 3],
      ['validation', 1],
    ]);
    const labels = (split: string) =>
      Array.from(readSafetensors(join(path, `${split}.safetensors`)).get('labels')!.data, Number);
    expect([labels('train'), labels('validation')]).toEqual([[0, 0, 1], [1]]);
    expect(JSON.parse(readFileSync(join(path, 'dataset.json'), 'utf8'))).toHaveProperty(
      'held_out',
      { fraction: 0.25 },
    );
  });

  test('of generated rows are of the training rows, too; MNLI has one split of them', async () => {
    const found = await resolve({ ...SEARCH, tasks: ['mnli', 'stsb'], rows: 40 }, null);
    expect(found.map(({ task, held_out }) => [task, held_out !== undefined])).toEqual([
      ['mnli', false],
      ['stsb', false],
      ['mnli', true],
      ['stsb', true],
    ]);
    expect(found[2]).toMatchObject({
      metrics: ['accuracy'],
      splits: [
        { name: 'train', rows: 30 },
        { name: 'validation', rows: 10 },
      ],
    });
    const prepared = await prepareDataset(found[2]!, model, join(folder, 'root'));
    expect(prepared.splits.map(({ rows }) => rows)).toEqual([30, 10]);
  });
});

describe('prepareDataset', () => {
  const root = () => join(folder, 'root');

  test('writes ragged rows: ids with special tokens, offsets, types and labels', async () => {
    const [dataset] = await resolve();
    const prepared = await prepareDataset(dataset!, model, root());
    const tensors = readSafetensors(join(prepared.path, 'train.safetensors'));
    const offsets = [...(tensors.get('offsets')!.data as BigInt64Array)].map(Number);
    const row = (i: number) =>
      [...tensors.get('input_ids')!.data]
        .slice(offsets[i], offsets[i + 1])
        .map((id) => WORDS[Number(id)]);
    expect(row(1)).toEqual([
      '[CLS]',
      'the',
      'dog',
      '##s',
      'ran',
      '.',
      '[SEP]',
      'the',
      'cat',
      '##s',
      'sat',
      '[SEP]',
    ]);
    expect([...tensors.get('token_type_ids')!.data].slice(offsets[2], offsets[3])).toEqual([
      0, 0, 0, 1, 1,
    ]);
    expect([...tensors.get('labels')!.data]).toEqual([0, 1, 0, 1]);
    expect(offsets).toHaveLength(5);
    expect(JSON.parse(readFileSync(join(prepared.path, 'dataset.json'), 'utf8'))).toMatchObject({
      digest: dataset!.digest,
      task: 'rte',
      splits: [
        { name: 'train', rows: 4, tokens: offsets[4], longest: 12, truncated: 0 },
        { name: 'validation', rows: 1 },
      ],
    });
  });

  test('is done once: the second time it finds the folder', async () => {
    const [dataset] = await resolve();
    expect((await prepareDataset(dataset!, model, root())).reused).toBe(false);
    expect((await prepareDataset(dataset!, model, root())).reused).toBe(true);
  });

  test('two at once leave one whole folder and nothing else', async () => {
    const [dataset] = await resolve();
    await Promise.all([
      prepareDataset(dataset!, model, root()),
      prepareDataset(dataset!, model, root()),
    ]);
    expect(readdirSync(join(root(), 'datasets'))).toEqual([dataset!.digest]);
  });

  test('writes the chosen rows only, labels of a regression as floats', async () => {
    const [dataset] = await resolveDatasets(
      sweepConfigFrom('t', { tasks: 'stsb', rows: 50, validation_rows: 20, max_length: 8 }),
      {
        env: offline,
        backbone: planned,
      },
    );
    const prepared = await prepareDataset(dataset!, model, root());
    expect(prepared.splits).toMatchObject([{ rows: 50, longest: 8, truncated: 50 }, { rows: 20 }]);
    expect(
      readSafetensors(join(prepared.path, 'validation.safetensors')).get('labels')!.data,
    ).toBeInstanceOf(Float32Array);
  });

  test.each([
    [
      'a file that changed since the sweep was planned',
      () =>
        writeFileSync(
          join(glue, 'RTE', 'dev.tsv'),
          'index\tsentence1\tsentence2\tlabel\n0\ta\tb\t0\n',
        ),
      /dev\.tsv: has changed since/,
    ],
    [
      'a file that is gone',
      () => rmSync(join(glue, 'RTE', 'train.tsv')),
      /train\.tsv: no longer exists/,
    ],
    [
      'another tokenizer',
      () => writeFileSync(join(model, 'vocab.txt'), `${WORDS.join('\n')}\nmore\n`),
      /its tokenizer has changed since/,
    ],
  ])('refuses %s and leaves nothing behind', async (_what, change, message) => {
    const [dataset] = await resolve();
    change();
    await expect(prepareDataset(dataset!, model, root())).rejects.toThrow(message);
    expect(
      existsSync(join(root(), 'datasets')) ? readdirSync(join(root(), 'datasets')) : [],
    ).toEqual([]);
  });
});
