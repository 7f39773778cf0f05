import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { completeAdapter } from '../../../orchestrator/config/adapter';
import { adapterName } from '../../../orchestrator/sweep/adapters';
import { DEFAULT_TRAIN } from '../../../orchestrator/config/defaults';
import { ConfigError } from '../../../orchestrator/base/errors';
import {
  loadSweepConfig,
  sweepConfigFrom,
  type LoadOptions,
} from '../../../orchestrator/config/load';

const HOULSBY = completeAdapter({});

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-config-'));
const file = join(folder, 'mine.yaml');
afterAll(() => rmSync(folder, { recursive: true }));

function load(yaml: string, options?: LoadOptions) {
  writeFileSync(file, yaml);
  return loadSweepConfig(file, options);
}

/** What is wrong, with the file's name left out: `3: tasks[0]: …`. */
function problems(yaml: string, options?: LoadOptions): string[] {
  try {
    load(yaml, options);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.message.split('\n').map((line) => line.replace(`${file}:`, ''));
    throw error;
  }
  return [];
}

describe('a sweep file', () => {
  test('needs tasks only: everything else has a default', () => {
    const config = load('tasks: [mrpc]');
    expect(config).toMatchObject({
      name: 'mine',
      backbone: 'all-MiniLM-L6-v2',
      seeds: [1, 2, 3],
      rows: null,
      max_length: null,
      doc_stride: 128,
      profile: null,
    });
    expect(config.tasks).toEqual([
      { name: 'mrpc', kind: 'classification', train: DEFAULT_TRAIN, own: null },
    ]);
    expect(config.compare).toEqual([
      {
        origin: `${file}:1`,
        ...{
          pruner: ['none'],
          sparsity: [],
          large_sparse: false,
          scope: ['global'],
          scoring_rows: [128],
          temperature: [200],
        },
        ...{
          rounds: null,
          schedule: ['exponential'],
          control: ['none'],
          reinitialize: [false],
          adapters: [HOULSBY],
        },
        ...{ rules: 'exact', n_m: [], structure: ['weights'], progressive: null },
      },
    ]);
  });

  test('may say how the backbone is computed; where it does not, the trainer decides', () => {
    expect(load('tasks: mrpc').precision).toBeNull();
    expect(load('{tasks: mrpc, precision: bf16}').precision).toBe('bf16');
    const profiles = 'profiles: {exact: {precision: float32}}';
    expect(
      load(`{tasks: mrpc, precision: bf16, ${profiles}}`, { profile: 'exact' }).precision,
    ).toBe('float32');
    expect(
      load('{tasks: mrpc, precision: bf16}', { overrides: { precision: 'tf32' } }).precision,
    ).toBe('tf32');
  });

  test.each([
    [
      'precision: bf61',
      'precision: "bf61" is not allowed; must be one of float32, tf32, bf16; did you mean "bf16"?',
    ],
    ['precision: 16', 'precision: 16 is not allowed; must be one of float32, tf32, bf16'],
    ['precison: bf16', 'precison is not a key here; did you mean "precision"?'],
    ['train: {precision: bf16}', 'train.precision is not a key here'],
  ])('of %s is refused', (line, message) => {
    expect(problems(`tasks: mrpc\n${line}`).join('\n')).toContain(`2: ${message}`);
  });

  test('may give a single value where a list may stand', () => {
    expect(load('{tasks: mrpc, seeds: 7, compare: {pruner: snip, sparsity: 0.4}}')).toMatchObject({
      tasks: [{ name: 'mrpc' }],
      seeds: [7],
      compare: [{ pruner: ['snip'], sparsity: [0.4] }],
    });
  });

  test('may give a task training settings of its own', () => {
    const config = load(
      '{tasks: [mrpc, {name: rte, train: {epochs: 8}}], train: {epochs: 2, learning_rate: 3e-4}}',
    );
    expect(config.tasks.map(({ train }) => [train.epochs, train.learning_rate])).toEqual([
      [2, 3e-4],
      [8, 3e-4],
    ]);
  });

  test('sets both widths by bottleneck; the width of one module goes before it', () => {
    const [adapter] = load('{tasks: rte, adapter: {bottleneck: 32, ffn_bottleneck: 8}}').compare[0]!
      .adapters;
    expect(adapter).toEqual({ ...HOULSBY, attention_bottleneck: 32, ffn_bottleneck: 8 });
  });

  test('compares adapters: the lists of a line multiply', () => {
    const { adapters } = load(
      '{tasks: rte, compare: [{pruner: none, bottleneck: [16, 32], adapter: {norm: [none, ' +
        'before]}}]}',
    ).compare[0]!;
    expect(adapters.map((a) => [a.norm, a.ffn_bottleneck])).toEqual([
      ['none', 16],
      ['none', 32],
      ['before', 16],
      ['before', 32],
    ]);
  });

  test('gives pfeiffer no module beside attention', () => {
    const [adapter] = load('{tasks: rte, adapter: {kind: pfeiffer, bottleneck: 32}}').compare[0]!
      .adapters;
    expect(adapter).toMatchObject({ attention_bottleneck: 0, ffn_bottleneck: 32 });
  });
});

describe("a task of the user's own", () => {
  const KEYS =
    'name: tickets, kind: classification, train: data/a.jsonl, validation: /b.csv, text: ' +
    '[subject, body], label: queue';
  const REGRESSION =
    '{name: stars, kind: regression, train: a.tsv, validation: b.parquet, text: review, label: n}';

  test('has files, relative to the sweep file, columns and metrics', () => {
    expect(
      load(`tasks:\n  - rte\n  - {${KEYS}, metrics: [macro_f1, accuracy]}`).tasks[1]!.own,
    ).toEqual({
      origin: `${file}:3`,
      kind: 'classification',
      files: { train: join(folder, 'data/a.jsonl'), validation: '/b.csv' },
      text: ['subject', 'body'],
      label: 'queue',
      metrics: ['macro_f1', 'accuracy'],
    });
  });

  test('has metrics by its kind where it names none', () => {
    expect(load(`tasks: [{${KEYS}}, ${REGRESSION}]`).tasks.map(({ own }) => own!.metrics)).toEqual([
      ['accuracy'],
      ['pearson', 'spearman'],
    ]);
  });

  const SUMMARIES = 'name: minutes, kind: summarization, train: a.csv, validation: b.jsonl';

  test('has documents and summaries in tables, with ROUGE where it names no metric', () => {
    const own = load(`tasks: [{${SUMMARIES}, document: text, summary: abstract}]`).tasks[0]!.own;
    expect(own).toEqual({
      origin: `${file}:1`,
      kind: 'summarization',
      files: { train: join(folder, 'a.csv'), validation: join(folder, 'b.jsonl') },
      columns: { document: 'text', summary: 'abstract' },
      metrics: ['rouge2', 'rouge1', 'rougeL', 'rougeLsum'],
    });
  });

  test.each([
    [
      'no column of summaries',
      'document: text',
      'tasks[0].summary: is missing; must be a non-empty string',
    ],
    [
      'one column for both',
      'document: text, summary: text',
      'tasks[0].summary: "text" is not allowed; must be a different column',
    ],
    [
      'a metric of other kinds',
      'document: a, summary: b, metrics: f1',
      'tasks[0].metrics: "f1" is not allowed; must be one of rouge2, rouge1,',
    ],
    [
      'a misspelt column',
      'documnt: a, summary: b',
      'tasks[0].documnt is not a key here; did you mean "document"?',
    ],
  ])('of documents with %s is refused', (_what, keys, message) => {
    expect(problems(`tasks: [{${SUMMARIES}, ${keys}}]`).join('\n')).toContain(message);
  });

  const QUESTIONS = 'name: manuals, kind: question_answering';

  test('has questions in the JSON of SQuAD, or in tables with columns', () => {
    const json = `{${QUESTIONS}, train: data/a.json, validation: b.JSON}`;
    const table =
      '{name: b, kind: question_answering, train: a.csv, validation: b.json, question: q, ' +
      'context: c, answer: a}';
    expect(load(`tasks: [${json}, ${table}]`).tasks.map(({ own }) => own)).toEqual([
      {
        origin: `${file}:1`,
        kind: 'question_answering',
        files: { train: join(folder, 'data/a.json'), validation: join(folder, 'b.JSON') },
        columns: null,
        metrics: null,
      },
      expect.objectContaining({
        columns: { question: 'q', context: 'c', answer: 'a', answer_start: null },
      }),
    ]);
  });

  test.each([
    [
      'columns of a JSON file',
      'train: a.json, validation: b.json, answer: a',
      'answer: "a" is not allowed; must be left out for files in SQuAD',
    ],
    [
      'no column of answers for a table',
      'train: a.csv, validation: b.json, question: q, context: c',
      'answer: must be the name of a column, for tables',
    ],
    [
      'a column twice',
      'train: a.csv, validation: b.csv, question: q, context: c, answer: q',
      'answer: "q" is not allowed; must be a different column',
    ],
    [
      'a key of classification',
      'train: a.csv, validation: b.csv, label: a',
      'label is not a key here',
    ],
    [
      'a metric of another kind',
      'train: a.json, validation: b.json, metrics: accuracy',
      'metrics: "accuracy" is not allowed; must be one of f1, exact_match, best_f1, has',
    ],
    [
      'a file of another format',
      'train: a.txt, validation: b.json',
      'train: "a.txt" is not allowed; must be the path of a .json, .csv, .tsv, .jsonl or ' +
        '.parquet file',
    ],
  ])('of questions is refused with %s', (_what, keys, message) => {
    expect(problems(`tasks: [{${QUESTIONS}, ${keys}}]`).join('\n')).toContain(
      `1: tasks[0].${message}`,
    );
  });

  test('has its training settings under settings', () => {
    const [task] = load(
      `{tasks: [{${KEYS}, settings: {steps: 9}}], train: {epochs: 2, learning_rate: 1e-3}}`,
    ).tasks;
    expect(task!.train).toMatchObject({ epochs: null, steps: 9, learning_rate: 1e-3 });
  });

  test('is meant by its name in a profile and on the command line', () => {
    const yaml =
      `tasks: [{${KEYS}, settings: {epochs: 9, batch_size: 8}}]\n` +
      'profiles: {p: {tasks: [{name: tickets, train: {steps: 3}}]}}';
    const whole = load(yaml).tasks[0]!;
    expect(load(yaml, { overrides: { tasks: [{ name: 'tickets' }] } }).tasks).toEqual([whole]);
    const [task] = load(yaml, { profile: 'p' }).tasks;
    expect(task!.own).toEqual(whole.own);
    expect(task!.train).toMatchObject({ epochs: null, steps: 3, batch_size: 8 });
  });

  test('may be described in a profile', () => {
    const yaml = `tasks: rte\nprofiles:\n  p:\n    tasks:\n      - ${REGRESSION}`;
    expect(load(yaml, { profile: 'p' }).tasks[0]!.own).toMatchObject({
      origin: `${file}:5`,
      kind: 'regression',
      text: ['review'],
    });
  });

  const without = (key: string) =>
    KEYS.split(/, (?=\w+:)/)
      .filter((each) => !each.startsWith(`${key}:`))
      .join(', ');

  test.each([
    [
      'no kind',
      without('kind'),
      'kind: is missing; must be one of classification, regression, question_answering',
    ],
    [
      'no validation',
      without('validation'),
      'validation: is missing; must be the path of a .csv, .tsv, .jsonl or .parquet file',
    ],
    [
      'training settings where the file is',
      `${without('train')}, train: {epochs: 8}`,
      'train: {"epochs":8} is not allowed; must be the path of a .csv, .tsv, .jsonl or ' +
        '.parquet file; training settings of',
    ],
    [
      'a file of another format',
      `${without('train')}, train: a.xlsx`,
      'train: "a.xlsx" is not allowed; must be the path of a .csv,',
    ],
    [
      'the name of a GLUE task',
      `${without('name')}, name: rte`,
      'name: "rte" is not allowed; must be a different name:',
    ],
    [
      'a name that is no part of a file name',
      `${without('name')}, name: My Tickets`,
      'name: "My Tickets" is not allowed; must be up to 40 of',
    ],
    [
      'three columns of texts',
      `${without('text')}, text: [a, b, c]`,
      'text: ["a","b","c"] is not allowed; must be the name of a column, or a',
    ],
    [
      'a column twice',
      `${without('text')}, text: [a, a]`,
      'text: ["a","a"] is not allowed; must be',
    ],
    [
      'a label that is a text',
      `${without('label')}, label: body`,
      'label: "body" is not allowed; must be a column that is not among text',
    ],
    [
      'a metric of the other kind',
      `${KEYS}, metrics: pearson`,
      'metrics: "pearson" is not allowed; must be one of accuracy, macro_f1, f1, matthews',
    ],
    [
      'a misspelt metric',
      `${KEYS}, metrics: [macrof1]`,
      'metrics[0]: "macrof1" is not allowed; must be one of accuracy, macro_f1, f1, matthews; ' +
        'did you mean "macro_f1"?',
    ],
    [
      'a metric twice',
      `${KEYS}, metrics: [f1, f1]`,
      'metrics: ["f1","f1"] is not allowed; must be a list of different metrics',
    ],
    [
      'a misspelt key',
      `${KEYS}, metric: f1`,
      'metric is not a key here; did you mean "metrics"? (allowed: name, kind, train,',
    ],
  ])('may not have %s', (_what, keys, message) => {
    const found = problems(`tasks:\n  - {${keys}}`);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`2: tasks[0].${message}`);
  });

  test('is among the names that a misspelt one may stand for', () => {
    expect(problems(`tasks: [{${KEYS}}, rte]`, { overrides: { tasks: ['tikcets'] } })).toEqual([
      expect.stringContaining(
        'command line: tasks[0]: "tikcets" is not allowed; must be one of cola,',
      ) && expect.stringContaining('did you mean "tickets"?'),
    ]);
  });

  test('is there once', () => {
    expect(problems(`tasks: [{${KEYS}}, tickets]`)[0]).toContain('tasks: tickets is listed twice');
  });
});

describe('the adapters of a sweep file', () => {
  const buildAdapter = (keys: string) =>
    load(`{tasks: rte, adapter: ${keys}}`).compare[0]!.adapters[0]!;
  const modules = {
    scale: 1,
    norm: 'none',
    activation: 'relu',
    init: 'gaussian',
    init_std: 0.02,
    lora_alpha: 0,
    prefix_hidden: 0,
  };

  test.each([
    [
      'houlsby',
      {
        attention: 'sequential',
        ffn: 'sequential',
        attention_bottleneck: 64,
        ffn_bottleneck: 64,
        norm: 'before',
      },
    ],
    [
      'pfeiffer',
      {
        attention: 'none',
        ffn: 'after_norm',
        attention_bottleneck: 0,
        ffn_bottleneck: 64,
        norm: 'before',
      },
    ],
    [
      'parallel',
      { attention: 'parallel', ffn: 'parallel', attention_bottleneck: 64, ffn_bottleneck: 64 },
    ],
    [
      'lora',
      {
        attention: 'lora',
        ffn: 'none',
        attention_bottleneck: 8,
        ffn_bottleneck: 0,
        lora_alpha: 16,
      },
    ],
    [
      'prefix',
      {
        attention: 'prefix',
        ffn: 'none',
        attention_bottleneck: 30,
        ffn_bottleneck: 0,
        prefix_hidden: 800,
      },
    ],
    [
      'mam',
      {
        attention: 'prefix',
        ffn: 'parallel',
        attention_bottleneck: 30,
        ffn_bottleneck: 192,
        scale: 4,
        prefix_hidden: 800,
      },
    ],
    ['prompt', { attention: 'prompt', ffn: 'none', attention_bottleneck: 20, ffn_bottleneck: 0 }],
    [
      'full',
      {
        attention: 'none',
        ffn: 'none',
        attention_bottleneck: 0,
        ffn_bottleneck: 0,
        init_std: 0,
        unfrozen: 'all',
      },
    ],
    [
      'bitfit',
      {
        attention: 'none',
        ffn: 'none',
        attention_bottleneck: 0,
        ffn_bottleneck: 0,
        init_std: 0,
        unfrozen: 'biases',
      },
    ],
    [
      'head_only',
      { attention: 'none', ffn: 'none', attention_bottleneck: 0, ffn_bottleneck: 0, init_std: 0 },
    ],
  ])('%s has its modules and its defaults, and neutral values for the rest', (kind, expected) => {
    const adapter = buildAdapter(`{kind: ${kind}}`);
    expect(adapter).toEqual({ ...modules, unfrozen: 'none', ...expected });
    expect(adapterName(adapter)).toBe(kind);
  });

  test('may be put together from modules, alone or on top of a kind', () => {
    const both = buildAdapter('{attention: lora, ffn: parallel, bottleneck: 4}');
    expect(both).toMatchObject({
      attention: 'lora',
      ffn: 'parallel',
      attention_bottleneck: 4,
      ffn_bottleneck: 4,
      lora_alpha: 16,
    });
    expect(adapterName(both)).toBe('lora+parallel');
    expect(buildAdapter('{kind: mam, ffn: lora}')).toMatchObject({
      attention: 'prefix',
      ffn: 'lora',
      ffn_bottleneck: 8,
      scale: 1,
    });
    expect(adapterName(buildAdapter('{attention: prefix, ffn: parallel}'))).toBe('mam');
    expect(adapterName(buildAdapter('{attention: prompt, ffn: parallel}'))).toBe('prompt+parallel');
    expect(buildAdapter('{attention: none, ffn: none}')).toEqual(buildAdapter('{kind: head_only}'));
  });

  test('are equal where they differ only in what they do not use', () => {
    const unused = 'scale: 9, norm: after, activation: gelu';
    expect(buildAdapter(`{kind: lora, prefix_hidden: 5, ffn_bottleneck: 5, ${unused}}`)).toEqual(
      buildAdapter('{kind: lora}'),
    );
    expect(buildAdapter(`{kind: prefix, init: zero_up, lora_alpha: 5, ${unused}}`)).toEqual(
      buildAdapter('{kind: prefix}'),
    );
    expect(
      buildAdapter(`{kind: bitfit, init: zero_up, init_std: 1, bottleneck: 5, ${unused}}`),
    ).toEqual(buildAdapter('{kind: bitfit}'));
    expect(buildAdapter('{init: zero_up, init_std: 1}')).toEqual(buildAdapter('{init: zero_up}'));
  });

  test('what is written goes before a kind, which replaces earlier modules only', () => {
    const yaml =
      '{tasks: rte, adapter: {attention: lora, norm: after, bottleneck: 32}, compare: ' +
      '[{pruner: none, adapter: {kind: mam}}]}';
    expect(load(yaml).compare[0]!.adapters[0]).toMatchObject({
      attention: 'prefix',
      norm: 'after',
      scale: 4,
      ffn_bottleneck: 32,
    });
  });
});

describe('profiles and overrides', () => {
  const yaml = [
    'tasks: [mrpc, rte]',
    'adapter: {attention_bottleneck: 16, norm: after}',
    'train: {epochs: 4, batch_size: 8}',
    'profiles:',
    '  quick: {description: fast, rows: 400, tasks: [cola], train: {steps: 10}, adapter: ' +
      '{bottleneck: 4}}',
  ].join('\n');

  test('a profile replaces lists and merges maps', () => {
    const config = load(yaml, { profile: 'quick' });
    expect(config).toMatchObject({ profile: 'quick', rows: 400, tasks: [{ name: 'cola' }] });
    expect(config.tasks[0]!.train).toMatchObject({ epochs: null, steps: 10, batch_size: 8 });
    expect(config.compare[0]!.adapters[0]).toMatchObject({
      attention_bottleneck: 4,
      ffn_bottleneck: 4,
      norm: 'after',
    });
  });

  test('without one the file holds, and its profiles are listed', () => {
    const config = load(yaml);
    expect(config).toMatchObject({
      rows: null,
      profiles: [{ name: 'quick', description: 'fast' }],
    });
    expect(config.tasks).toHaveLength(2);
  });

  test('what the command line says goes before both', () => {
    const config = load(yaml, {
      profile: 'quick',
      overrides: { rows: 'all', seeds: [9], tasks: undefined, train: { epochs: 1 } },
    });
    expect(config).toMatchObject({
      rows: null,
      seeds: [9],
      tasks: [{ name: 'cola', train: { epochs: 1, steps: null } }],
    });
  });

  test('an unknown profile names those that are there', () => {
    expect(problems(yaml, { profile: 'quik' })).toEqual([
      ` there is no profile "quik"; must be one of quick; did you mean "quick"?`,
    ]);
  });

  test('a wrong override is a problem of the command line', () => {
    expect(problems(yaml, { overrides: { seeds: [-1] } })).toEqual([
      'command line: seeds[0]: -1 is not allowed; must be a whole number of at least 0',
    ]);
  });

  test('a command makes a sweep of its flags with the same checks', () => {
    expect(sweepConfigFrom('run', { tasks: 'rte', seeds: 3 })).toMatchObject({
      name: 'run',
      file: null,
      seeds: [3],
    });
    expect(() => sweepConfigFrom('run', { tasks: 'rta' })).toThrow(
      'tasks: "rta" is not allowed; must be one of cola,',
    );
  });
});

describe('masks of a sweep file', () => {
  const parseLine = (yaml: string) => load(`tasks: rte\n${yaml}`).compare[0]!;

  test('may keep N of each M: quoted, or as YAML reads it without quotes', () => {
    const groups = [
      { group_kept: 2, group_size: 4 },
      { group_kept: 1, group_size: 2 },
    ];
    expect(parseLine('compare: [{pruner: mag, n_m: ["2:4", 1:2]}]')).toMatchObject({
      n_m: groups,
      sparsity: [],
    });
    expect(parseLine('compare: [{pruner: mag, n_m: 2:4}]').n_m).toEqual([groups[0]]);
  });

  test('may remove whole units', () => {
    expect(
      parseLine('compare: [{pruner: mag, sparsity: 0.5, structure: [weights, units]}]').structure,
    ).toEqual(['weights', 'units']);
  });

  test('may be made during training, by any pruner but er, unless up starts at 0', () => {
    const keys = 'rounds: 4, schedule: cubic, adapter: {init: zero_up}';
    expect(
      parseLine(
        'compare: [{pruner: [rand, snip], sparsity: 0.5, progressive: {every_epochs: 0.5}, ' +
          `${keys}}]`,
      ),
    ).toMatchObject({
      ...{ rounds: [4], schedule: ['cubic'], progressive: { begin_epoch: 1, every_epochs: 0.5 } },
    });
    expect(
      problems(
        'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.5, progressive: {begin_epoch: 0}, ' +
          `${keys}}]`,
      ),
    ).toHaveLength(1);
  });
});

describe('compat: official', () => {
  test('reads sparsity as the fraction kept, with the published rules and defaults', () => {
    const [line] = load(
      'tasks: rte\ncompat: official\ncompare: [{pruner: [snip, synflow], sparsity: [0.7, 1]}]',
    ).compare;
    expect(line).toMatchObject({
      rules: 'official',
      sparsity: [1 - 0.7, 0],
      scoring_rows: null,
      temperature: [1],
      rounds: null,
    });
    expect(line!.adapters).toEqual([HOULSBY]);
  });

  test("has the published code's LoRA", () => {
    const [adapter] = load('tasks: rte\ncompat: official\nadapter: {kind: lora}').compare[0]!
      .adapters;
    expect(adapter).toEqual(completeAdapter({ kind: 'lora', lora_alpha: 32, init: 'zero_up' }));
    expect(
      load('tasks: rte\ncompat: official\nadapter: {kind: lora, lora_alpha: 4, init: gaussian}')
        .compare[0]!.adapters,
    ).toEqual([completeAdapter({ kind: 'lora', lora_alpha: 4 })]);
  });

  test('may be said by a profile for lines of its own, and taken back', () => {
    const lines = 'compare: [{pruner: mag, sparsity: 0.25}]';
    const yaml = `tasks: rte\n${lines}\nprofiles:\n  theirs: {compat: official, ${lines}}`;
    expect(load(yaml).compare[0]).toMatchObject({ rules: 'exact', sparsity: [0.25] });
    expect(load(yaml, { profile: 'theirs' }).compare[0]).toMatchObject({
      rules: 'official',
      sparsity: [0.75],
    });
    const back =
      `tasks: rte\ncompat: official\n${lines}\nprofiles:\n` +
      `  quick: {rows: 9, ${lines}}\n  ours: {compat: none, ${lines}}`;
    expect(load(back, { profile: 'quick' }).compare[0]).toMatchObject({
      rules: 'official',
      sparsity: [0.75],
    });
    expect(load(back, { profile: 'ours' }).compare[0]).toMatchObject({
      rules: 'exact',
      sparsity: [0.25],
    });
  });

  test('fails no trial, so that scores which are all 0 are allowed', () => {
    expect(
      problems(
        'tasks: rte\ncompat: official\ncompare: [{pruner: snip, sparsity: 0.5, adapter: ' +
          '{init: zero_up}}]',
      ),
    ).toEqual([]);
  });
});

describe('a wrong sweep file', () => {
  test.each([
    [
      'an unknown key, with the one it is near to',
      'tasks: rte\nsedes: [1]',
      '2: sedes is not a key here; did you mean "seeds"?',
    ],
    [
      'an unknown key deep inside',
      'tasks: rte\ntrain:\n  epochs: 1\n  lr: 1',
      '4: train.lr is not a key here (allowed: epochs, steps,',
    ],
    [
      'a number out of range',
      'tasks: rte\ncompare:\n  - {pruner: snip, sparsity: [0.4, 1.2]}',
      '3: compare[0].sparsity[1]: 1.2 is not allowed; must be a number in [0, 1)',
    ],
    [
      'a single value out of range',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 1}]',
      '2: compare[0].sparsity: 1 is not allowed; must be a number in [0, 1)',
    ],
    [
      'a wrong type',
      'tasks: rte\ntrain: {batch_size: many}',
      '2: train.batch_size: "many" is not allowed; must be a whole number from 1 to 65536',
    ],
    [
      'a fraction where a whole number is due',
      'tasks: rte\nseeds: [1.5]',
      '2: seeds[0]: 1.5 is not allowed; must be a whole number of at least 0',
    ],
    [
      'an infinite number',
      'tasks: rte\ntrain: {learning_rate: .inf}',
      '2: train.learning_rate: Infinity is not allowed; must be a number above 0',
    ],
    [
      'a word that is not in the list',
      'tasks: [mrcp]',
      '1: tasks[0]: "mrcp" is not allowed; must be one of cola, sst2, mrpc, qqp, stsb, mnli, ' +
        'qnli, rte, wnli, squad, squad_v2, xsum, cnn_dailymail; did you mean "mrpc"?',
    ],
    [
      'a wrong value in a profile that is not used',
      'tasks: rte\nprofiles:\n  x:\n    rows: none',
      '4: profiles.x.rows: "none" is not allowed; must be a whole number of at least 1, or all',
    ],
    [
      'a profile in a profile',
      'tasks: rte\nprofiles: {x: {profiles: {}}}',
      '2: profiles.x.profiles is not a key here',
    ],
    [
      'a pruner without sparsity',
      'tasks: rte\ncompare: [{pruner: rand}]',
      '2: compare[0].sparsity: must be given for a pruner',
    ],
    [
      'a dense line with sparsity',
      'tasks: rte\ncompare: [{pruner: none, sparsity: 0.4}]',
      '2: compare[0].sparsity: 0.4 is not allowed; must be left out if the pruner is none',
    ],
    [
      'dense and pruned in one line',
      'tasks: rte\ncompare: [{pruner: [none, rand], sparsity: 0.4}]',
      '2: compare[0].pruner: ["none","rand"] is not allowed; must be either none or pruners',
    ],
    [
      'a pruner that the published code lacks',
      'tasks: rte\ncompat: official\ncompare: [{pruner: gradient, sparsity: 0.4}]',
      'must be without gradient under compat official: it is not in the published code',
    ],
    [
      'gradient scores of a down beside a zero up',
      'tasks: rte\nadapter: {init: zero_up}\ncompare: [{pruner: gradient, sparsity: 0.4}]',
      'and init zero_up: all scores of down would be 0; must be used with init gaussian',
    ],
    [
      'scoring rows that nothing uses',
      'tasks: rte\ncompare: [{pruner: rand, sparsity: 0.4, scoring_rows: 8}]',
      '2: compare[0].scoring_rows: 8 is not allowed; must be left out if no pruner is snip',
    ],
    [
      'a length in epochs and in steps',
      'tasks: rte\ntrain: {epochs: 1, steps: 2}',
      '2: train: {"epochs":1,"steps":2} is not allowed; must be a map with epochs or steps, ' +
        'not both',
    ],
    [
      'a seed twice',
      'tasks: rte\nseeds: [1, 1]',
      '2: seeds: [1,1] is not allowed; must be a list of different seeds',
    ],
    [
      'a list with nothing in it',
      'tasks: []',
      '1: tasks: [] is not allowed; must be a value or a list of at least one',
    ],
    ['a task twice', 'tasks: [rte, rte]', 'tasks: rte is listed twice; list each task once'],
    [
      'no tasks',
      'seeds: [1]',
      'tasks: is missing; must be a list of task names, for example [mrpc, rte]',
    ],
    [
      'a key given twice',
      'tasks: rte\ntasks: mrpc',
      '2: is not valid YAML: Map keys must be unique',
    ],
    ['no YAML at all', 'tasks: [rte', 'is not valid YAML:'],
    [
      'a list for the whole file',
      '- rte',
      '1: the file: ["rte"] is not allowed; must be a map with keys among name, backbone,',
    ],
    [
      'large_sparse with sparsity',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.8, large_sparse: {bottleneck: 128}}]',
      '2: compare[0].sparsity: 0.8 is not allowed; must be left out if large_sparse is given',
    ],
    [
      'large_sparse without a bottleneck',
      'tasks: rte\ncompare: [{pruner: snip, large_sparse: {}}]',
      '2: compare[0].large_sparse.bottleneck: is missing; must be',
    ],
    [
      'large_sparse with a local scope',
      'tasks: rte\ncompare: [{pruner: snip, large_sparse: {bottleneck: 128}, scope: local}]',
      '2: compare[0].scope: "local" is not allowed; must be global if large_sparse is given',
    ],
    [
      'large_sparse with another bottleneck',
      'tasks: rte\ncompare: [{pruner: snip, large_sparse: {bottleneck: 128}, adapter: ' +
        '{ffn_bottleneck: 8}}]',
      'is not allowed; must be without ffn_bottleneck if large_sparse is given',
    ],
    [
      'a dense line with large_sparse',
      'tasks: rte\ncompare: [{pruner: none, large_sparse: {bottleneck: 128}}]',
      'must be left out if the pruner is none',
    ],
    [
      'a dense line with a control',
      'tasks: rte\ncompare: [{pruner: none, control: shuffled}]',
      '2: compare[0].control: "shuffled" is not allowed; must be left out if the pruner is none',
    ],
    [
      'a dense line that is drawn anew',
      'tasks: rte\ncompare: [{pruner: none, reinitialize: true}]',
      '2: compare[0].reinitialize: true is not allowed; must be left out if the pruner is none',
    ],
    [
      'er with a local scope',
      'tasks: rte\ncompare: [{pruner: er, sparsity: 0.4, scope: [global, local]}]',
      '2: compare[0].scope: ["global","local"] is not allowed; must be global if a pruner ' +
        'is er: it sets the density of each matrix itself',
    ],
    [
      'rounds that no pruner has',
      'tasks: rte\ncompare: [{pruner: [rand, mag, er], sparsity: 0.4, rounds: 5}]',
      '2: compare[0].rounds: 5 is not allowed; must be 1 or left out if no pruner is snip',
    ],
    [
      'a temperature that nothing uses',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, temperature: 200}]',
      '2: compare[0].temperature: 200 is not allowed; must be left out if no pruner is grasp',
    ],
    [
      'a pruner of an adapter without matrices',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, adapter: {kind: [houlsby, bitfit]}}]',
      '2: compare[0].pruner: "snip" is not allowed with the adapter bitfit; must be none: it ' +
        'has no matrix to prune',
    ],
    [
      'scores that would all be 0',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, adapter: {kind: lora, init: zero_up}}]',
      '2: compare[0].pruner: "snip" is not allowed with the adapter lora and init zero_up: all ' +
        'scores would be 0; must be used with init gaussian',
    ],
    [
      'scores of up that would all be 0',
      'tasks: rte\ncompare: [{pruner: grasp, sparsity: 0.4, adapter: {init: zero_up}}]',
      '2: compare[0].pruner: "grasp" is not allowed with the adapter houlsby and init zero_up: ' +
        'all scores of up would be 0;',
    ],
    [
      'a module beside bitfit',
      'tasks: rte\ncompare: [{pruner: none, adapter: {kind: bitfit, ffn: parallel}}]',
      '2: compare[0].adapter.ffn: "parallel" is not allowed; must be left out if the kind ' +
        'is bitfit',
    ],
    [
      'a module beside full fine-tuning',
      'tasks: rte\nadapter: {kind: full, attention: lora}',
      '2: adapter.attention: "lora" is not allowed; must be left out if the kind is full',
    ],
    [
      'a module on top of a kind that trains the backbone',
      'tasks: rte\nadapter: {kind: full}\ncompare: [{pruner: none, adapter: {ffn: parallel}}]',
      '3: compare[0].adapter: "parallel" is not allowed with full; must be none: no module ' +
        'can be added when parts of the backbone are trained',
    ],
    ...(['prompt', 'full'] as const).map((kind): [string, string, string] => [
      `a pruner of ${kind}`,
      `tasks: rte\ncompare: [{pruner: mag, sparsity: 0.4, adapter: {kind: ${kind}}}]`,
      '2: compare[0].pruner: "mag" is not allowed with the adapter ' +
        `${kind}; must be none: it has no matrix to prune`,
    ]),
    ...(['124', '{2: 4}', '4:2', '"0:4"', '"2:2"', 'two of four'] as const).map(
      (written): [string, string, string] => [
        `N:M written as ${written}`,
        `tasks: rte\ncompare: [{pruner: mag, n_m: ${written}}]`,
        'is not allowed; must be N:M in quotes, for example "2:4": N of each M neighbouring ' +
          'weights are kept',
      ],
    ),
    ...(
      [
        ['sparsity: 0.5', 'sparsity: 0.5 is not allowed; must be left out if n_m is given'],
        [
          'large_sparse: {bottleneck: 128}',
          'large_sparse: {"bottleneck":128} is not allowed; must be left out if n_m is given',
        ],
        ['scope: local', 'scope: "local" is not allowed; must be left out if n_m is given'],
        ['structure: units', 'structure: "units" is not allowed; must be left out if n_m is given'],
        ['rounds: 2', 'rounds: 2 is not allowed; must be 1 or left out if n_m is given'],
        ['pruner: er', 'pruner: "er" is not allowed; must be without er if n_m is given'],
      ] as const
    ).map(([more, message]): [string, string, string] => [
      `N:M with ${more}`,
      'tasks: rte\ncompare: ' +
        `[{${more.startsWith('pruner') ? '' : 'pruner: snip, '}n_m: "2:4", ${more}}]`,
      `2: compare[0].${message}`,
    ]),
    [
      'units of er',
      'tasks: rte\ncompare: [{pruner: er, sparsity: 0.5, structure: [weights, units]}]',
      '2: compare[0].structure: ["weights","units"] is not allowed; must be weights if a ' +
        'pruner is er',
    ],
    [
      'units at the dense budget',
      'tasks: rte\ncompare: [{pruner: mag, structure: units, large_sparse: {bottleneck: 128}}]',
      '2: compare[0].structure: "units" is not allowed; must be weights if large_sparse is ' +
        'given',
    ],
    [
      'a dense line in units',
      'tasks: rte\ncompare: [{pruner: none, structure: units}]',
      '2: compare[0].structure: "units" is not allowed; must be left out if the pruner is none',
    ],
    [
      'pruning during training without rounds',
      'tasks: rte\ncompare: [{pruner: mag, sparsity: 0.5, progressive: {begin_epoch: 1}}]',
      '2: compare[0].rounds: must be given with progressive',
    ],
    ...(
      [
        [
          'control: inverted',
          'control: "inverted" is not allowed; must be left out if progressive is given',
        ],
        [
          'reinitialize: true',
          'reinitialize: true is not allowed; must be left out if progressive is given',
        ],
        ['pruner: er', 'pruner: "er" is not allowed; must be without er if progressive is given'],
      ] as const
    ).map(([more, message]): [string, string, string] => [
      `pruning during training with ${more}`,
      `tasks: rte\ncompare: [{${more.startsWith('pruner') ? '' : 'pruner: snip, '}sparsity: 0.5, ` +
        `rounds: 3, progressive: {}, ${more}}]`,
      `2: compare[0].${message}`,
    ]),
    [
      'a negative epoch',
      'tasks: rte\ncompare: [{pruner: mag, sparsity: 0.5, rounds: 3, progressive: ' +
        '{begin_epoch: -1}}]',
      '2: compare[0].progressive.begin_epoch: -1 is not allowed; must be a number of at least 0',
    ],
    [
      'magnitudes that are all 0 in their scope',
      'tasks: rte\ncompare: [{pruner: mag, sparsity: 0.5, scope: local, adapter: {init: zero_up}}]',
      '2: compare[0].pruner: "mag" is not allowed with the adapter houlsby and init zero_up: ' +
        'scores of up, all 0, would be compared',
    ],
    ...(
      [
        [
          'sparsity: 0',
          'sparsity: 0 is not allowed; must be a number in (0, 1], under ' +
            'compat official the fraction of weights kept',
        ],
        ['sparsity: 1.2', 'sparsity: 1.2 is not allowed; must be a number in (0, 1], under'],
        [
          'scope: local',
          'sparsity: must be given for a pruner: under compat official, the fraction of ' +
            'weights to keep, in (0, 1]',
        ],
        [
          'sparsity: 0.5, temperature: 200',
          'temperature: 200 is not allowed; must be left out under compat official',
        ],
        [
          'large_sparse: {bottleneck: 128}',
          'large_sparse: {"bottleneck":128} is not allowed; must be left out under compat official',
        ],
        ['n_m: "2:4"', 'n_m: "2:4" is not allowed; must be left out under compat official'],
        [
          'sparsity: 0.5, structure: units',
          'structure: "units" is not allowed; must be left out under compat official',
        ],
        [
          'sparsity: 0.5, rounds: 3, progressive: {}',
          'progressive: {} is not allowed; must be left out under compat official',
        ],
        [
          'sparsity: 0.5, rounds: 3, schedule: cubic',
          'schedule: "cubic" is not allowed; must be exponential or linear under compat official',
        ],
        [
          'sparsity: 0.5, adapter: {ffn: lora}',
          'pruner: "grasp" is not allowed with the adapter sequential+lora under compat ' +
            'official: the published code merges LoRA',
        ],
      ] as const
    ).map(([keys, message]): [string, string, string] => [
      `${keys} under compat official`,
      `tasks: rte\ncompat: official\ncompare: [{pruner: grasp, ${keys}}]`,
      `3: compare[0].${message}`,
    ]),
    [
      'er under compat official',
      'tasks: rte\ncompat: official\ncompare: [{pruner: er, sparsity: 0.5}]',
      '3: compare[0].pruner: "er" is not allowed; must be without er under compat official: ' +
        'it is in the paper',
    ],
    [
      'scores that are rounding errors under compat official',
      'tasks: rte\ncompat: official\ncompare: [{pruner: synflow, sparsity: 0.5, adapter: ' +
        '{norm: after}}]',
      '3: compare[0].pruner: "synflow" is not allowed with the adapter houlsby and norm after ' +
        'under compat official',
    ],
    [
      'another compat',
      'tasks: rte\ncompat: oficial',
      '2: compat: "oficial" is not allowed; must be one of none, official; did you mean',
    ],
    [
      'a profile that would turn the meaning of sparsity',
      'tasks: rte\ncompare: [{pruner: mag, sparsity: 0.4}]\nprofiles:\n  theirs: {compat: ' +
        'official}',
      '4: profiles.theirs.compat: "official" is not allowed; must be given with a compare',
    ],
  ])('is told of %s', (_what, yaml, message) => {
    const found = problems(yaml);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(message);
  });

  test('is told of a pruner in a profile at its line, and of all lines at once', () => {
    const lines = [
      'tasks: rte',
      'adapter: {kind: prefix}',
      'profiles:',
      '  p:',
      '    compare:',
      '      - {pruner: none}',
    ];
    const yaml = [
      ...lines,
      '      - {pruner: mag, sparsity: 0.4}',
      '      - {pruner: er, sparsity: 0.4}',
    ].join('\n');
    expect(problems(yaml, { profile: 'p' })).toEqual([
      '7: compare[1].pruner: "mag" is not allowed with the adapter prefix; must be none: it ' +
        'has no matrix to prune',
      '8: compare[2].pruner: "er" is not allowed with the adapter prefix; must be none: it ' +
        'has no matrix to prune',
    ]);
    expect(problems(yaml)).toEqual([]);
  });

  test('a pruner of the command line is a problem of the command line', () => {
    const overrides = {
      adapter: { kind: 'head_only' },
      compare: [{ pruner: 'rand', sparsity: 0.4 }],
    };
    expect(problems('tasks: rte', { overrides })).toEqual([
      expect.stringContaining('command line: compare[0].pruner: "rand"'),
    ]);
  });

  test('is told of all its problems at once', () => {
    expect(problems('tasks: [rte]\nseeds: [x]\ntrain: {epochs: 0}\nbackbon: y')).toHaveLength(3);
  });

  test('that is not there is named, and so are the sweeps that are', () => {
    expect(() => loadSweepConfig('no/such.yaml')).toThrow('no/such.yaml: there is no such file');
    expect(() => loadSweepConfig('gleu')).toThrow(
      /no sweep is named "gleu"; must be one of .*did you mean "glue"\?/,
    );
  });
});

describe('the sweep glue', () => {
  test.each([null, 'quick', 'full', 'paper'])('is a valid sweep with profile %s', (profile) => {
    expect(loadSweepConfig('glue', { profile }).name).toBe('glue');
  });

  test('states the defaults where it states a setting', () => {
    const config = loadSweepConfig('glue');
    expect(config.tasks[0]!.train).toEqual(DEFAULT_TRAIN);
    expect(config.compare[0]!.adapters).toEqual([HOULSBY]);
  });
});

describe('settings of summarization', () => {
  test('have the defaults of the published scripts', () => {
    const config = load('tasks: xsum');
    expect(config.generation).toEqual({
      beams: 6,
      min_length: 10,
      max_length: 60,
      no_repeat_ngram: 3,
      length_penalty: 1,
    });
    expect(config.max_target_length).toBe(128);
    expect(config.tasks[0]!.train.label_smoothing).toBe(0.1);
  });

  test('are merged key by key with those of a profile and of the command line', () => {
    const yaml =
      'tasks: xsum\ngeneration: {beams: 4, max_length: 40}\nprofiles:\n  p: {generation: ' +
      '{beams: 2}}';
    expect(
      load(yaml, { profile: 'p', overrides: { generation: { min_length: 0 } } }).generation,
    ).toMatchObject({
      ...{ beams: 2, max_length: 40, min_length: 0, no_repeat_ngram: 3 },
    });
  });

  test('are of the tasks of summarization alone: what other tasks train with is as it was', () => {
    const { tasks } = load('tasks: [xsum, mrpc]\ntrain: {label_smoothing: 0.2}');
    expect(tasks.map(({ train }) => train.label_smoothing)).toEqual([0.2, undefined]);
    expect(Object.keys(tasks[1]!.train)).not.toContain('label_smoothing');
  });

  test.each([
    [
      'tasks: rte\ntrain: {epochs: 1, label_smoothing: 0}',
      '2: train.label_smoothing: applies only to summarization; remove it',
    ],
    [
      'tasks: rte\ngeneration: {beams: 2}',
      '2: generation: applies only to summarization; remove it, this sweep has no such task',
    ],
    ['tasks: rte\nmax_target_length: 9', '2: max_target_length: applies only to summarization'],
    [
      'tasks: [xsum, {name: rte, train: {label_smoothing: 0.1}}]',
      '1: tasks: label_smoothing applies only to summarization; remove it from rte, which is class',
    ],
    [
      'tasks: xsum\ngeneration:\n  min_length: 61',
      '3: generation: min_length 61 is more than max_length 60; must be at most that',
    ],
    [
      'tasks: xsum\ngeneration: {beam: 2}',
      '2: generation.beam is not a key here; did you mean "beams"?',
    ],
    [
      'tasks: xsum\ngeneration: {max_length: 0}',
      '2: generation.max_length: 0 is not allowed; must be a whole number from 1',
    ],
    [
      'tasks: xsum\ntrain: {label_smoothing: 1}',
      '2: train.label_smoothing: 1 is not allowed; must be a number in [0, 1)',
    ],
  ])('that are wrong are told with their line: %s', (yaml, message) => {
    expect(problems(yaml)).toEqual([expect.stringContaining(message)]);
  });

  test('that a profile has where they do not belong are told with its line', () => {
    const yaml = 'tasks: xsum\nprofiles:\n  p:\n    tasks: rte\n    train: {label_smoothing: 0}';
    expect(problems(yaml, { profile: 'p' })).toEqual([
      expect.stringContaining('5: train.label_smoothing: applies only to summarization'),
    ]);
  });
});

describe.each(['xsum', 'cnn_dailymail'])('the sweep %s', (name) => {
  test.each([null, 'quick', 'full', 'paper'])(
    'is a valid sweep of its task on a BART with profile %s',
    (profile) => {
      const config = loadSweepConfig(name, { profile });
      expect(config.tasks.map((task) => task.name)).toEqual([name]);
      expect(config.backbone).toMatch(/^facebook\/bart-/);
    },
  );
});

describe('the sweep masks', () => {
  test.each([null, 'quick', 'full'])(
    'with profile %s removes three quarters in every line but the dense one, which is first',
    (profile) => {
      const [dense, ...lines] = loadSweepConfig('masks', { profile }).compare;
      expect(dense).toMatchObject({ pruner: ['none'], adapters: [HOULSBY] });
      const removed = lines.flatMap(({ sparsity, n_m }) => [
        ...sparsity,
        ...n_m.map((each) => 1 - each.group_kept / each.group_size),
      ]);
      expect(removed).toEqual(lines.map(() => 0.75));
    },
  );
});

describe('the sweep large-sparse', () => {
  test.each([null, 'quick', 'cpu', 'full'])(
    'is a valid sweep with profile %s, and has its dense reference first',
    (profile) => {
      const { compare } = loadSweepConfig('large-sparse', { profile });
      expect(compare[0]).toMatchObject({ pruner: ['none'], adapters: [HOULSBY] });
      expect(compare.at(-1)!.large_sparse).toBe(true);
    },
  );
});
