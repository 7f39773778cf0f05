import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSweepConfig } from '../../../../orchestrator/config/load';
import { prepareDataset } from '../../../../orchestrator/tasks/prepare';
import { resolveDatasets } from '../../../../orchestrator/tasks/resolve';
import { readSafetensors } from '../../../../orchestrator/datasets/safetensors';
import { planSweep } from '../../../../orchestrator/sweep/plan';
import { backbone } from '../../support/plans';
import { WORDS, writeVocabulary } from './support/vocabulary';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-own-task-'));
const planned = { ...backbone(), path: folder };
const offline = { HF_HUB_OFFLINE: '1', HF_HOME: join(folder, 'no-cache') };
const write = (name: string, content: string) => writeFileSync(join(folder, name), content);

beforeEach(() => {
  writeVocabulary(folder);
  write(
    'train.csv',
    'subject,body,queue,copy\nthe cat,sat,pets,pets\n"a, ' +
      'dog",ran,pets,pets\nthe,a,rest,rest\ncats,ran,more,more\n',
  );
  write('dev.jsonl', '{"subject":"a cat","body":"ran","queue":"rest","copy":"rest"}\n');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const TASK = {
  name: 'tickets',
  kind: 'classification',
  train: 'train.csv',
  validation: 'dev.jsonl',
  text: ['subject', 'body'],
  label: 'queue',
};

function buildConfig(task: Record<string, unknown> = {}, settings: Record<string, unknown> = {}) {
  // YAML is a superset of JSON.
  write(
    'mine.yaml',
    JSON.stringify({ tasks: [{ ...TASK, ...task }], max_length: 32, ...settings }, null, 1),
  );
  return loadSweepConfig(join(folder, 'mine.yaml'));
}

async function resolve(task?: Record<string, unknown>, settings?: Record<string, unknown>) {
  return (
    await resolveDatasets(buildConfig(task, settings), { env: offline, backbone: planned })
  )[0]!;
}

const resolveDigest = async (...request: Parameters<typeof resolve>) =>
  (await resolve(...request)).digest;

describe("a task of the user's own", () => {
  test('becomes a planned data set like those of GLUE', async () => {
    const dataset = await resolve({ metrics: ['macro_f1', 'accuracy'] });
    expect(dataset).toMatchObject({
      task: 'tickets',
      kind: 'classification',
      num_labels: 3,
      label_names: ['more', 'pets', 'rest'],
      metrics: ['macro_f1', 'accuracy'],
      source: 'files',
      columns: { text: ['subject', 'body'], label: 'queue' },
    });
    expect(dataset.splits.map(({ name, file, rows, of }) => [name, file, rows, of])).toEqual([
      ['train', join(folder, 'train.csv'), 4, 4],
      ['validation', join(folder, 'dev.jsonl'), 1, 1],
    ]);
  });

  test('needs no data directory and no hub, and keeps its place among GLUE tasks', async () => {
    const datasets = await resolveDatasets(buildConfig({}, { tasks: ['rte', TASK, 'mrpc'] }), {
      env: offline,
      backbone: planned,
    });
    expect(datasets.map(({ task, source }) => [task, source])).toEqual([
      ['rte', 'demo'],
      ['tickets', 'files'],
      ['mrpc', 'demo'],
    ]);
  });

  test('is planned in trials and cohorts under its name', async () => {
    const config = buildConfig({ settings: { epochs: 3, batch_size: 3 } }, { seeds: [1] });
    const datasets = await resolveDatasets(config, { env: offline, backbone: planned });
    const plan = planSweep(config, {
      backbone: planned,
      datasets,
      maxCohort: 10,
      defaultPrecision: 'float32',
      profileReason: null,
    });
    expect(plan.trials).toMatchObject([
      { task: 'tickets', dataset: datasets[0]!.digest, train: { total_steps: 6 } },
    ]);
    expect(plan.cohorts[0]!.id).toBe('c01-tickets');
  });

  test('has a digest that does not depend on where its files lie', async () => {
    const before = await resolveDigest();
    mkdirSync(join(folder, 'moved'));
    renameSync(join(folder, 'train.csv'), join(folder, 'moved', 'other.csv'));
    expect(await resolveDigest({ train: 'moved/other.csv' })).toBe(before);
  });

  test.each<[string, () => void, Record<string, unknown>, Record<string, unknown>?]>([
    ['a column of texts', () => {}, { text: ['subject'] }],
    ['the order of two', () => {}, { text: ['body', 'subject'] }],
    ['the column of labels, whatever is in it', () => {}, { label: 'copy' }],
    [
      'the content of a file',
      () => write('dev.jsonl', '{"subject":"a","body":"b","queue":"rest"}'),
      {},
    ],
    ['the metrics', () => {}, { metrics: ['macro_f1'] }],
    ['its name', () => {}, { name: 'others' }],
    ['the choice of rows', () => {}, {}, { rows: 3 }],
  ])('has a digest that changes with %s', async (_what, change, ...request) => {
    const before = await resolveDigest();
    change();
    expect(await resolveDigest(...request)).not.toBe(before);
  });

  test('is tokenized as it was planned, the chosen rows only', async () => {
    const dataset = await resolve({}, { rows: 3 });
    const prepared = await prepareDataset(dataset, folder, join(folder, 'root'));
    expect(prepared.splits).toMatchObject([
      { name: 'train', rows: 3 },
      { name: 'validation', rows: 1 },
    ]);
    const tensors = readSafetensors(join(prepared.path, 'validation.safetensors'));
    expect([...tensors.get('input_ids')!.data].map((id) => WORDS[Number(id)])).toEqual([
      '[CLS]',
      'a',
      'cat',
      '[SEP]',
      'ran',
      '[SEP]',
    ]);
    expect([...tensors.get('labels')!.data]).toEqual([2]);
  });

  test('is refused where a file changed since it was planned', async () => {
    const dataset = await resolve();
    write('dev.jsonl', '{"subject":"a cat","body":"ran","queue":"new"}\n');
    await expect(prepareDataset(dataset, folder, join(folder, 'root'))).rejects.toThrow(
      'dev.jsonl: has changed since',
    );
  });

  test('has floats as labels in a regression', async () => {
    write('train.csv', 'text,n\nthe cat,1.5\na dog,-2\n');
    write('dev.jsonl', '{"text":"a cat","n":0.25}\n');
    const dataset = await resolve({ kind: 'regression', text: 'text', label: 'n' });
    expect(dataset).toMatchObject({
      num_labels: 1,
      label_names: [],
      metrics: ['pearson', 'spearman'],
    });
    const prepared = await prepareDataset(dataset, folder, join(folder, 'root'));
    expect(readSafetensors(join(prepared.path, 'train.safetensors')).get('labels')!.data).toEqual(
      Float32Array.of(1.5, -2),
    );
  });
});

describe("a task of the user's own is refused", () => {
  test('with every problem of both files', async () => {
    write('train.csv', 'subject,body,queue\na,,pets\nb,c\n');
    write('dev.jsonl', '{"subject":"a","body":"b","queue":"unknown"}\n{"subject":"a"}\n');
    await expect(resolve()).rejects.toThrow(
      [
        `${folder}/train.csv:2: "body" is empty; must be text`,
        `${folder}/train.csv:3: has 2 cells; ` +
          '3 are expected, one for each of "subject", "body", "queue"',
        `${folder}/dev.jsonl:2: has no "body", and has no "queue"`,
      ].join('\n'),
    );
  });

  test.each<[string, () => void, Record<string, unknown>, string]>([
    [
      'without its files',
      () => rmSync(join(folder, 'train.csv')),
      {},
      `${folder}/mine.yaml:3: tickets: train: there is no file ${folder}/train.csv; ` +
        'paths are relative to the folder of the sweep file',
    ],
    [
      'with a label in validation that training lacks',
      () => write('dev.jsonl', '{"subject":"a","body":"b","queue":"pet"}\n'),
      {},
      'dev.jsonl:1: "queue" is "pet", which no training row has; must be one of "more", ' +
        '"pets", "rest"; did you mean "pets"?',
    ],
    [
      'with one class',
      () => write('train.csv', 'subject,body,queue\na,b,rest\nb,c,rest\n'),
      {},
      'train.csv: has only one class: "queue" is "rest" in every row; must have at least two',
    ],
    [
      'with F1 of three classes',
      () => {},
      { metrics: ['f1'] },
      'mine.yaml:3: tickets: metrics: f1 needs two classes, but',
    ],
  ])('%s', async (_what, change, task, message) => {
    change();
    await expect(resolve(task)).rejects.toThrow(message);
  });
});
