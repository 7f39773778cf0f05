import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSweepConfig } from '../../../../orchestrator/config/load';
import { makeDemoSummaries } from '../../../../orchestrator/tasks/summaries/demo-summaries';
import type { SummaryDataset } from '../../../../orchestrator/tasks/summaries/dataset';
import { resolveDatasets } from '../../../../orchestrator/tasks/resolve';
import { planSweep } from '../../../../orchestrator/sweep/plan';
import { backbone } from '../../support/plans';
import { bart, writeBart } from './support/summaries';
import { writeModel } from '../questions/support/questions';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-summary-task-'));
const data = join(folder, 'data');
const planned = bart(join(folder, 'model'));
const offline = { HF_HUB_OFFLINE: '1', HF_HOME: join(folder, 'no-cache') };
const write = (name: string, content: string) => writeFileSync(join(folder, name), content);

beforeEach(() => {
  writeBart(planned.path);
  for (const name of ['xsum', 'cnn_dailymail']) mkdirSync(join(data, name), { recursive: true });
  write(
    'data/xsum/train.csv',
    'document,summary\na mill burned,mill\n,nothing\na ship sank,ship\n',
  );
  write('data/xsum/validation.jsonl', '{"document":"a dog ran","summary":"dog"}\n');
  write('data/cnn_dailymail/train.csv', 'article,highlights\na mill burned,mill\n');
  write('data/cnn_dailymail/validation.csv', 'article,highlights\na dog ran,dog\n');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const SHORT = { max_length: 20, max_target_length: 10, generation: { max_length: 12 } };

function buildConfig(settings: Record<string, unknown>) {
  // YAML is a superset of JSON.
  write('mine.yaml', JSON.stringify({ tasks: 'xsum', ...SHORT, ...settings }, null, 1));
  return loadSweepConfig(join(folder, 'mine.yaml'));
}

function resolve(
  settings: Record<string, unknown> = {},
  dataDir: string | null = data,
  model = planned,
) {
  const options = { dataDir, env: offline, backbone: model };
  return resolveDatasets(buildConfig(settings), options) as Promise<SummaryDataset[]>;
}

const resolveDigest = async (...request: Parameters<typeof resolve>) =>
  (await resolve(...request))[0]!.digest;

describe('a published task of summarization', () => {
  test('is read from tables of any format; rows with an empty text are counted out', async () => {
    const [dataset] = await resolve();
    expect(dataset).toMatchObject({
      task: 'xsum',
      kind: 'summarization',
      num_labels: 0,
      metrics: ['rouge2', 'rouge1', 'rougeL', 'rougeLsum'],
      source: 'files',
      summaries: { columns: { document: 'document', summary: 'summary' }, max_target_length: 10 },
      max_length: 20,
    });
    expect(
      dataset!.splits.map(({ name, file, rows, of, left_out }) => [name, file, rows, of, left_out]),
    ).toEqual([
      ['train', join(data, 'xsum', 'train.csv'), 2, 2, 1],
      ['validation', join(data, 'xsum', 'validation.jsonl'), 1, 1, undefined],
    ]);
  });

  test("may lie in the data directory itself, and has its own columns' names", async () => {
    const [dataset] = await resolve({ tasks: 'cnn_dailymail' }, join(data, 'cnn_dailymail'));
    expect(dataset!.summaries.columns).toEqual({ document: 'article', summary: 'highlights' });
  });

  test('that is not there is told with the names that are expected', async () => {
    rmSync(join(data, 'xsum', 'train.csv'));
    await expect(resolve()).rejects.toThrow(
      `has no ${join(data, 'xsum', 'train.csv')}, which task xsum needs; ` +
        'must contain train and validation, each as .csv, .jsonl or .parquet',
    );
  });

  test('has 512 and 128 tokens at most where nobody says it', async () => {
    writeBart(planned.path, 1024);
    const [dataset] = await resolve({
      max_length: undefined,
      max_target_length: undefined,
      generation: undefined,
    });
    expect([dataset!.max_length, dataset!.summaries.max_target_length]).toEqual([512, 128]);
  });

  test('is made of the same demo rows each time where there are no files and no hub', async () => {
    const [dataset] = await resolve({}, null);
    expect(dataset).toMatchObject({
      source: 'demo',
      splits: [{ rows: 600, file: null }, { rows: 200 }],
    });
    expect(await resolveDigest({}, null)).toBe(dataset!.digest);
  });

  test('of demo rows has a sentence on a document’s beginning; cnn_dailymail has two', () => {
    for (const [task, lines] of [
      ['xsum', 1],
      ['cnn_dailymail', 2],
    ] as const) {
      const rows = makeDemoSummaries(task, 'train');
      expect(
        rows.every(
          ({ document, summary }) =>
            document.split('. ').length >= 3 && summary.split('\n').length === lines,
        ),
      ).toBe(true);
      expect(new Set(rows.map(({ document }) => document)).size).toBeGreaterThan(500);
    }
  });

  test.each<[string, () => void, Record<string, unknown>]>([
    [
      'the rows',
      () => write('data/xsum/validation.jsonl', '{"document":"a dog sat","summary":"dog"}\n'),
      {},
    ],
    ['the length of documents', () => {}, { max_length: 19 }],
    ['the length of summaries', () => {}, { max_target_length: 9 }],
  ])('has another digest with %s', async (_what, change, settings) => {
    const before = await resolveDigest();
    change();
    expect(await resolveDigest(settings)).not.toBe(before);
  });

  test('has the same digest however summaries are generated', async () => {
    expect(await resolveDigest({ generation: { beams: 2, max_length: 12 } })).toBe(
      await resolveDigest(),
    );
  });

  test.each([
    ['max_length', { max_length: 65 }, 'max_length: 65 is not allowed; tiny-bart has 64 positions'],
    [
      'max_target_length',
      { max_target_length: 65 },
      'max_target_length: 65 is not allowed; tiny-bart has 64 positions',
    ],
    [
      'generation',
      { generation: { max_length: 65 } },
      'generation.max_length: 65 is not allowed; tiny-bart has 64 positions',
    ],
  ])("is refused where %s is beyond the backbone's positions", async (_what, settings, message) => {
    await expect(resolve(settings)).rejects.toThrow(message);
  });

  test('has trials whose generation and label smoothing are part of their ids', async () => {
    const buildPlan = async (settings: Record<string, unknown>) => {
      const config = buildConfig({ seeds: 1, ...settings });
      const datasets = await resolveDatasets(config, {
        dataDir: data,
        env: offline,
        backbone: planned,
      });
      return planSweep(config, {
        backbone: planned,
        datasets,
        maxCohort: 1,
        defaultPrecision: 'float32',
        profileReason: null,
      }).trials[0]!;
    };
    const trial = await buildPlan({});
    expect(trial.generation).toEqual({
      beams: 6,
      min_length: 10,
      max_length: 12,
      no_repeat_ngram: 3,
      length_penalty: 1,
    });
    expect(trial.train.label_smoothing).toBe(0.1);
    const others = [
      await buildPlan({ generation: { beams: 2, max_length: 12 } }),
      await buildPlan({ train: { label_smoothing: 0 } }),
    ];
    expect(new Set([trial, ...others].map(({ id }) => id)).size).toBe(3);
  });
});

describe('a task and its backbone', () => {
  test('do not go together where an encoder would have to write', async () => {
    const encoder = { ...backbone(), path: join(folder, 'bert') };
    writeModel(encoder.path);
    await expect(resolve({}, data, encoder)).rejects.toThrow(
      'backbone: all-MiniLM-L6-v2 has type bert and cannot write summaries, which xsum needs; ' +
        'must be an encoder–decoder (bart, t5)',
    );
  });

  test('do not go together where an encoder–decoder would have to classify', async () => {
    await expect(
      resolve({ tasks: 'rte', generation: undefined, max_target_length: undefined }),
    ).rejects.toThrow(
      'backbone: tiny-bart has type bart, which is only for summarization; must be an encoder ' +
        '(bert, roberta) for rte, which is classification',
    );
  });
});

describe("the user's own documents", () => {
  const task = {
    name: 'minutes',
    kind: 'summarization',
    train: 'train.jsonl',
    validation: 'dev.csv',
    document: 'text',
    summary: 'abstract',
  };
  beforeEach(() => {
    write(
      'train.jsonl',
      '{"text":"a mill burned","abstract":"mill"}\n{"text":"a ship sank","abstract":"ship"}\n',
    );
    write('dev.csv', 'text,abstract\na dog ran,dog\n');
  });

  test('are a task with its own columns', async () => {
    const [dataset] = await resolve({ tasks: [{ ...task, metrics: ['rouge1', 'rougeL'] }] });
    expect(dataset).toMatchObject({
      task: 'minutes',
      kind: 'summarization',
      metrics: ['rouge1', 'rougeL'],
      source: 'files',
      summaries: { columns: { document: 'text', summary: 'abstract' } },
      splits: [{ rows: 2 }, { rows: 1 }],
    });
  });

  test('are counted if their documents are in training, too', async () => {
    write('dev.csv', 'text,abstract\na dog ran,dog\n a mill burned ,other\n');
    const [dataset] = await resolve({ tasks: [task] });
    expect(dataset!.splits.map(({ also_in_train }) => also_in_train)).toEqual([undefined, 1]);
  });

  test('are other data sets with other metrics: a result has those that were planned', async () => {
    expect(await resolveDigest({ tasks: [{ ...task, metrics: 'rouge1' }] })).not.toBe(
      await resolveDigest({ tasks: [task] }),
    );
  });

  test('with an empty text are refused, in both files at once', async () => {
    write('train.jsonl', '{"text":" ","abstract":"mill"}\n');
    write('dev.csv', 'text,abstract\na dog ran,\n');
    await expect(resolve({ tasks: [task] })).rejects.toThrow(
      `${folder}/train.jsonl:1: "text" is empty; must be text\n` +
        `${folder}/dev.csv:2: "abstract" is empty; must be text`,
    );
  });

  test('that are not there are told with the line of their task', async () => {
    rmSync(join(folder, 'dev.csv'));
    await expect(resolve({ tasks: [task] })).rejects.toThrow(
      /mine\.yaml:\d+: minutes: validation: there is no file .*dev\.csv/,
    );
  });
});
