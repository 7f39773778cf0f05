/** Tasks that a sweep file describes by files and columns of its own. */
import { join } from 'node:path';
import { file, folder, listProblems, load } from '../support/sweep-file';
import { trainOf } from '../support/plans';

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
    expect(listProblems(`tasks: [{${SUMMARIES}, ${keys}}]`).join('\n')).toContain(message);
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
    expect(listProblems(`tasks: [{${QUESTIONS}, ${keys}}]`).join('\n')).toContain(
      `1: tasks[0].${message}`,
    );
  });

  test('has its training settings under settings', () => {
    const [task] = load(
      `{tasks: [{${KEYS}, settings: {steps: 9}}], train: {epochs: 2, learning_rate: 1e-3}}`,
    ).tasks;
    expect(trainOf(task)).toMatchObject({ epochs: null, steps: 9, learning_rate: 1e-3 });
  });

  test('is meant by its name in a profile and on the command line', () => {
    const yaml =
      `tasks: [{${KEYS}, settings: {epochs: 9, batch_size: 8}}]\n` +
      'profiles: {p: {tasks: [{name: tickets, train: {steps: 3}}]}}';
    const whole = load(yaml).tasks[0]!;
    expect(load(yaml, { overrides: { tasks: [{ name: 'tickets' }] } }).tasks).toEqual([whole]);
    const [task] = load(yaml, { profile: 'p' }).tasks;
    expect(task!.own).toEqual(whole.own);
    expect(trainOf(task)).toMatchObject({ epochs: null, steps: 3, batch_size: 8 });
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
    const found = listProblems(`tasks:\n  - {${keys}}`);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`2: tasks[0].${message}`);
  });

  test('is among the names that a misspelt one may stand for', () => {
    expect(listProblems(`tasks: [{${KEYS}}, rte]`, { overrides: { tasks: ['tikcets'] } })).toEqual([
      expect.stringContaining(
        'command line: tasks[0]: "tikcets" is not allowed; must be one of cola,',
      ) && expect.stringContaining('did you mean "tickets"?'),
    ]);
  });

  test('is there once', () => {
    expect(listProblems(`tasks: [{${KEYS}}, tickets]`)[0]).toContain(
      'tasks: tickets is listed twice',
    );
  });
});
