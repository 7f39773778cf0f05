import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSweepConfig } from '../../../../orchestrator/config/load';
import type { QuestionDataset } from '../../../../orchestrator/tasks/questions/dataset';
import { makeDemoQuestions } from '../../../../orchestrator/tasks/questions/demo-questions';
import { resolveDatasets } from '../../../../orchestrator/tasks/resolve';
import { planSweep } from '../../../../orchestrator/sweep/plan';
import { backbone } from '../../support/plans';
import { CONTEXT, NOBODY, squadJson, WHEN, WHO, writeModel } from './support/questions';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-questions-'));
const data = join(folder, 'data');
const planned = { ...backbone(), path: join(folder, 'model') };
const offline = { HF_HUB_OFFLINE: '1', HF_HOME: join(folder, 'no-cache') };
const write = (name: string, content: string) => writeFileSync(join(folder, name), content);

beforeEach(() => {
  writeModel(planned.path);
  mkdirSync(join(data, 'squad'), { recursive: true });
  mkdirSync(join(data, 'glue', 'RTE'), { recursive: true });
  write('data/squad/train-v1.1.json', squadJson([WHO, WHEN, WHO]));
  write('data/squad/dev-v1.1.json', squadJson([WHEN]));
  write('data/squad/train-v2.0.json', squadJson([WHO, NOBODY]));
  write('data/squad/dev-v2.0.json', squadJson([NOBODY, WHEN]));
  for (const name of ['train', 'dev'])
    write(`data/glue/RTE/${name}.tsv`, 'index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Windows of 8 tokens of the context, 4 of them new: CONTEXT has 12. */
const SHORT = { max_length: 14, doc_stride: 4 };

function buildConfig(settings: Record<string, unknown>) {
  // YAML is a superset of JSON.
  write('mine.yaml', JSON.stringify({ tasks: 'squad', ...SHORT, ...settings }, null, 1));
  return loadSweepConfig(join(folder, 'mine.yaml'));
}

function resolve(settings: Record<string, unknown> = {}, dataDir: string | null = data) {
  return resolveDatasets(buildConfig(settings), { dataDir, env: offline, backbone: planned });
}

const resolveDigest = async (...request: Parameters<typeof resolve>) =>
  (await resolve(...request))[0]!.digest;

describe('a task of SQuAD', () => {
  test('is read from its published files, in the folder squad or without it', async () => {
    const [dataset] = await resolve();
    expect(dataset).toMatchObject({
      task: 'squad',
      kind: 'question_answering',
      num_labels: 2,
      label_names: [],
      metrics: ['f1', 'exact_match'],
      source: 'files',
      questions: { doc_stride: 4, no_answer: false },
      max_length: 14,
    });
    expect(dataset!.splits.map(({ name, file, rows, of }) => [name, file, rows, of])).toEqual([
      ['train', join(data, 'squad', 'train-v1.1.json'), 3, 3],
      ['validation', join(data, 'squad', 'dev-v1.1.json'), 1, 1],
    ]);
    expect((await resolve({}, join(data, 'squad')))[0]).toEqual(dataset);
  });

  test('of v2.0 has its own files and metrics', async () => {
    const [dataset] = await resolve({ tasks: 'squad_v2' });
    expect(dataset).toMatchObject({
      questions: { no_answer: true },
      metrics: ['f1', 'exact_match', 'best_f1', 'has_answer_f1', 'no_answer_f1'],
    });
    expect(dataset!.splits[1]!.file).toBe(join(data, 'squad', 'dev-v2.0.json'));
  });

  test('counts the windows that a trainer takes for rows; an epoch visits each once', async () => {
    const config = buildConfig({ seeds: [1], train: { epochs: 3, batch_size: 2 } });
    const datasets = await resolveDatasets(config, {
      dataDir: data,
      env: offline,
      backbone: planned,
    });
    // "who sat ?" leaves 8 tokens of 14, "when ran the dog ?" 6: 12 tokens are 2 windows that move
    // by 4, or 4 that move by 2.
    expect(datasets[0]!.splits.map(({ features }) => features)).toEqual([2 + 4 + 2, 4]);
    const plan = planSweep(config, {
      backbone: planned,
      datasets,
      maxCohort: 10,
      defaultPrecision: 'float32',
      profileReason: null,
    });
    expect(plan.trials[0]!.train.total_steps).toBe(3 * 4);
  });

  test('limits questions, not windows', async () => {
    const [dataset] = await resolve({ rows: 1, validation_rows: 1 });
    expect(dataset!.splits).toMatchObject([
      { rows: 1, of: 3 },
      { rows: 1, of: 1 },
    ]);
  });

  test('has 384 tokens a row where nobody says it, and others in the same sweep 128', async () => {
    writeModel(planned.path, 512);
    write('mine.yaml', '{tasks: [rte, squad]}');
    const config = loadSweepConfig(join(folder, 'mine.yaml'));
    const datasets = await resolveDatasets(config, {
      dataDir: data,
      env: offline,
      backbone: planned,
    });
    expect(
      (datasets as QuestionDataset[]).map(({ task, max_length, questions }) => [
        task,
        max_length,
        (questions as QuestionDataset['questions'] | undefined)?.doc_stride,
      ]),
    ).toEqual([
      ['rte', 128, undefined],
      ['squad', 384, 128],
    ]);
  });

  test.each<[string, () => void, Record<string, unknown>]>([
    ['doc_stride', () => {}, { doc_stride: 3 }],
    ['max_length', () => {}, { max_length: 15 }],
    ['a question', () => write('data/squad/dev-v1.1.json', squadJson([WHO])), {}],
    ['the choice of questions', () => {}, { rows: 2 }],
  ])('has a digest that changes with %s', async (_what, change, settings) => {
    const before = await resolveDigest();
    change();
    expect(await resolveDigest(settings)).not.toBe(before);
  });

  test.each<[string, () => void, Record<string, unknown>, string]>([
    [
      'whose file is missing',
      () => rmSync(join(data, 'squad', 'train-v2.0.json')),
      { tasks: 'squad_v2' },
      `--data-dir ${data}: has no ${data}/squad/train-v2.0.json, which task squad_v2 needs; ` +
        "must contain SQuAD's own files, directly or",
    ],
    [
      'with every problem of both files',
      () =>
        ['train', 'dev'].forEach((name) =>
          write(
            `data/squad/${name}-v1.1.json`,
            squadJson([WHO, { question: ' ', answer: 'The cat' }]),
          ),
        ),
      {},
      `${data}/squad/train-v1.1.json: data[0].paragraphs[0].qas[1].question: is empty; ` +
        `must be text\n${data}/squad/dev-v1.1.json: data`,
    ],
    [
      'with a question that leaves no room for its context',
      () =>
        write(
          'data/squad/train-v1.1.json',
          squadJson([{ question: 'who who who who who who who ?', answer: 'cat' }]),
        ),
      {},
      `${data}/squad/train-v1.1.json: question q0: has 8 tokens; ` +
        'must be at most 6 to leave room for a context with max_length 14 and stride 4',
    ],
    [
      'whose windows would not move on',
      () => {},
      { doc_stride: 14 },
      'mine.yaml: doc_stride: 14 is not allowed with max_length 14; must be less',
    ],
    [
      'whose default length is beyond the backbone',
      () => {},
      { max_length: undefined },
      'max_length: 384 (the default for squad) is not allowed; all-MiniLM-L6-v2 has 64 positions',
    ],
  ])('is refused %s', async (_what, change, settings, message) => {
    change();
    await expect(resolve(settings)).rejects.toThrow(message);
  });

  test('says that it takes a while where there are many questions', async () => {
    write('data/squad/train-v1.1.json', squadJson(Array.from({ length: 5000 }, () => WHO)));
    const told: unknown[] = [];
    const onLongWork = (text: string) => told.push(text);
    await resolveDatasets(buildConfig({}), {
      dataDir: data,
      env: offline,
      backbone: planned,
      onLongWork,
    });
    expect(told).toEqual(['splitting 5,001 questions of squad into windows of tokens']);
  });
});

describe('demo questions', () => {
  test('take the place of SQuAD where there is neither a directory nor the hub', async () => {
    writeModel(planned.path, 512);
    const notices: string[] = [];
    const config = buildConfig({ tasks: ['squad', 'squad_v2'], max_length: 256, doc_stride: 64 });
    const datasets = await resolveDatasets(config, {
      env: offline,
      backbone: planned,
      onNotice: (text) => notices.push(text),
    });
    expect(
      datasets.map(({ source, splits }) => [source, splits[0]!.rows, splits[0]!.features]),
    ).toEqual([
      ['demo', 600, 600],
      ['demo', 600, 600],
    ]);
    expect(notices[0]).toMatch(/demo rows are generated, which are not SQuAD$/);
  });

  test.each(['squad', 'squad_v2'] as const)(
    'of %s are the same each time, and their answers are in their contexts',
    (task) => {
      const questions = makeDemoQuestions(task, 'train');
      expect(makeDemoQuestions(task, 'train')).toEqual(questions);
      expect(makeDemoQuestions(task, 'validation')[0]).not.toMatchObject({
        question: questions[0]!.question,
        context: questions[0]!.context,
      });
      const answers = questions.flatMap(({ context, answers }) =>
        answers.map(({ text, start }) => [context.slice(start, start + text.length), text]),
      );
      for (const [there, text] of answers) expect(there).toBe(text);
      const unanswered =
        questions.filter(({ answers }) => answers.length === 0).length / questions.length;
      expect(Math.abs(unanswered - (task === 'squad' ? 0 : 1 / 3))).toBeLessThan(
        task === 'squad' ? 1e-9 : 0.06,
      );
    },
  );
});

describe("questions of the user's own", () => {
  const own = (keys: object) => ({
    tasks: [
      { name: 'pets', kind: 'question_answering', train: 't.json', validation: 'v.json', ...keys },
    ],
  });
  const columns = { question: 'q', context: 'c', answer: 'a' };
  const csv = (...answers: string[]) =>
    `q,c,a\n${answers.map((answer) => `who sat?,${CONTEXT},${answer}\n`).join('')}`;

  test('in the JSON of v1.1 have its metrics', async () => {
    write('t.json', squadJson([WHO]));
    write('v.json', squadJson([WHEN]));
    const [dataset] = await resolve(own({}), null);
    expect(dataset).toMatchObject({
      task: 'pets',
      source: 'files',
      metrics: ['f1', 'exact_match'],
      questions: { doc_stride: 4, no_answer: false },
    });
  });

  test('of which some have no answer are those of v2.0', async () => {
    write('t.json', squadJson([WHO]));
    write('v.json', squadJson([WHEN, NOBODY]));
    const [dataset] = await resolve(own({}), null);
    expect(dataset).toMatchObject({ questions: { no_answer: true } });
    expect(dataset!.metrics).toContain('no_answer_f1');
  });

  test('are counted if they are asked in training, too, about the same context', async () => {
    write('t.json', squadJson([WHO, NOBODY]));
    write('v.json', squadJson([WHEN, NOBODY]));
    const [dataset] = await resolve(own({}), null);
    expect(dataset!.splits.map(({ also_in_train }) => also_in_train)).toEqual([undefined, 1]);
  });

  test('may be tables, where an empty answer is none', async () => {
    write('t.csv', csv('The cat', ''));
    write('v.jsonl', `${JSON.stringify({ q: 'when ran the dog?', c: CONTEXT, a: 'Friday' })}\n`);
    const [dataset] = await resolve(
      own({ train: 't.csv', validation: 'v.jsonl', ...columns }),
      null,
    );
    expect(dataset).toMatchObject({
      questions: { no_answer: true, columns: { ...columns, answer_start: null } },
      metrics: ['f1', 'exact_match'],
      splits: [{ rows: 2, features: 4 }, { rows: 1 }],
    });
  });

  test('have a digest that changes with the metrics', async () => {
    write('t.json', squadJson([WHO]));
    write('v.json', squadJson([WHEN]));
    expect(await resolveDigest(own({ metrics: 'f1' }), null)).not.toBe(
      await resolveDigest(own({}), null),
    );
  });

  test.each<[string, object, string]>([
    ['without their files', { train: 'gone.json' }, 'mine.yaml:3: pets: train: there is no file'],
    [
      'with a metric of unanswered questions where all are answered',
      { metrics: ['f1', 'best_f1'] },
      'pets: metrics: best_f1 needs questions without an answer, but',
    ],
    [
      'with the problems of both files',
      { train: 't.csv', validation: 'v.csv', ...columns },
      [
        `${folder}/t.csv:3: "a" is "on", which occurs 3 times in "c"; ` +
          'must occur once, or answer_start must name a column with its place',
        `${folder}/v.csv:2: "a" is "mouse", which occurs 0 times in "c"; ` +
          'must occur once, or answer_start must name a column with its place',
      ].join('\n'),
    ],
  ])('are refused %s', async (_what, keys, message) => {
    write('t.json', squadJson([WHO]));
    write('v.json', squadJson([WHEN]));
    write('t.csv', csv('The cat', 'on', 'dog'));
    write('v.csv', csv('mouse'));
    await expect(resolve(own(keys), null)).rejects.toThrow(message);
  });
});
