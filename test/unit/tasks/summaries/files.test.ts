import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sweepConfigFrom } from '../../../../orchestrator/config/load';
import { prepareDataset } from '../../../../orchestrator/tasks/prepare';
import type { SummaryDataset } from '../../../../orchestrator/tasks/summaries/dataset';
import { resolveDatasets } from '../../../../orchestrator/tasks/resolve';
import { readSafetensors } from '../../../../orchestrator/datasets/safetensors';
import { readStoredSummaries } from '../../../../orchestrator/tasks/summaries/files';
import { bart, toIds, writeBart } from './support/summaries';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-prepare-summaries-'));
const model = join(folder, 'model');
const write = (name: string, content: string) => writeFileSync(join(folder, name), content);

beforeAll(() => writeBart(model));
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  write('train.csv', 'article,highlights\na mill burned,mill\n,none\na ship,"a ship\nsank, too"\n');
  write('validation.csv', 'article,highlights\na dog ran,dog\n');
});

/** @param which of the data sets: with a search, the second one has held-out rows */
async function resolve(settings: Record<string, unknown> = {}, which = 0) {
  const generation = { max_length: 12 };
  const config = sweepConfigFrom('t', {
    tasks: 'cnn_dailymail',
    max_length: 10,
    max_target_length: 9,
    generation,
    ...settings,
  });
  const datasets = await resolveDatasets(config, {
    dataDir: folder,
    env: {},
    backbone: bart(model),
  });
  return datasets[which] as SummaryDataset;
}

let roots = 0;
const root = () => join(folder, `root${roots++}`);

test('a prepared data set has special tokens around texts, cut before the last one', async () => {
  const { path, splits, ...described } = await prepareDataset(await resolve(), model, root());
  const tensors = readSafetensors(join(path, 'train.safetensors'));
  const rows = (ids: string, offsets: string) => {
    const [all, ends] = [ids, offsets].map((name) => Array.from(tensors.get(name)!.data, Number));
    return ends!.slice(1).map((end, i) => all!.slice(ends![i], end));
  };
  const row = (text: string) => [0, ...toIds(text), 2];
  expect(rows('input_ids', 'offsets')).toEqual([row('a mill b'), row('a ship')]);
  expect(rows('target_ids', 'target_offsets')).toEqual([row('mill'), row('a ship\n')]);
  expect(tensors.get('target_ids')!.data).toBeInstanceOf(Int32Array);
  expect(tensors.get('target_offsets')!.data).toBeInstanceOf(BigInt64Array);
  expect([...tensors.get('token_type_ids')!.data].every((type) => type === 0)).toBe(true);
  expect(described).toHaveProperty('summaries', {
    columns: { document: 'article', summary: 'highlights' },
    max_target_length: 9,
  });
  expect(splits).toEqual([
    {
      name: 'train',
      rows: 2,
      tokens: 18,
      longest: 10,
      truncated: 1,
      targets: { tokens: 15, truncated: 1 },
    },
    {
      name: 'validation',
      rows: 1,
      tokens: 10,
      longest: 10,
      truncated: 1,
      targets: { tokens: 5, truncated: 0 },
    },
  ]);
});

test('summaries are stored whole, under their row’s number and column’s name', async () => {
  const dataset = await resolve();
  const { path } = await prepareDataset(dataset, model, root());
  expect(readStoredSummaries(path, 'train', dataset.summaries.columns)).toEqual([
    { row: 1, summary: 'mill' },
    { row: 3, summary: 'a ship\nsank, too' },
  ]);
  expect(readFileSync(join(path, 'validation.examples.jsonl'), 'utf8')).toBe(
    '{"row":1,"highlights":"dog"}\n',
  );
});

test('the chosen rows alone are written', async () => {
  const { splits } = await prepareDataset(await resolve({ rows: 1 }), model, root());
  expect(splits[0]).toMatchObject({ rows: 1 });
});

test('a table that changed since it was planned is refused', async () => {
  const dataset = await resolve();
  write('validation.csv', 'article,highlights\na dog sat,dog\n');
  await expect(prepareDataset(dataset, model, root())).rejects.toThrow(
    'validation.csv: has changed since the sweep was planned',
  );
});

test('lengths that leave no room for a text are refused', async () => {
  const dataset = {
    ...(await resolve()),
    summaries: { columns: { document: 'article', summary: 'highlights' }, max_target_length: 2 },
  };
  await expect(prepareDataset(dataset, model, root())).rejects.toThrow(
    'max_target_length: is 2; must be more than 2, the number of special tokens',
  );
});

test('held-out documents are of the training file, and not trained on', async () => {
  const heldOut = await resolve(
    { search: { over: 'dropout', on: { hold_out: 0.5 } }, train: { dropout: [0, 0.1] } },
    1,
  );
  const { path } = await prepareDataset(heldOut, model, root());
  const rows = ['train', 'validation'].map((split) =>
    readStoredSummaries(path, split, heldOut.summaries.columns).map(({ summary }) => summary),
  );
  expect(rows).toEqual([['a ship\nsank, too'], ['mill']]);
  expect(heldOut.splits.map(({ rows }) => rows)).toEqual([1, 1]);
});
