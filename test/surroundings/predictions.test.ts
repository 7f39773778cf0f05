/**
 * `predict` gives a finished trial's own predictions of its validation rows again, of every family
 * of tasks, by the trainer that has trained it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeSafetensors, float32Tensor } from '../../common/safetensors';
import { testIf } from '../support/reference';
import { writeTinyBart } from '../support/tiny-bart';
import { runtimeStatus } from '../../orchestrator/runtime/status';
import { Workplace } from '../support/workplace';
import { LETTERS, writeBart } from '../unit/tasks/summaries/support/summaries';

const { SA_ORCH_TEST_TFJS: tfjs } = process.env;
const withTfjs = testIf('predictions by TensorFlow.js', { SA_ORCH_TEST_TFJS: tfjs });

const ANIMALS = ['cat', 'dog', 'owl', 'fox', 'hen', 'cow'];
const CONTEXTS = ANIMALS.map((animal, i) => `On day ${i} the ${animal} sat in the old barn.`);
const QUESTIONS = ANIMALS.map((_, i) => `Who sat there on day ${i}?`);
const lines = (rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

let folder: string;
let place: Workplace;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-predictions-'));
  place = new Workplace(folder, { HF_HUB_OFFLINE: '1' });
});
afterEach(async () => {
  await place.down();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a sweep of one trial for each task, and returns their ids by task. Its trainer stays. */
async function sweep(file: string, typed: string[] = []) {
  const ended = await place.run(['start', '--sweep', file, '--json', '--threads', '1', ...typed]);
  expect({ status: ended.status, stderr: ended.status === 0 ? '' : ended.stderr }).toEqual({
    status: 0,
    stderr: '',
  });
  const { results } = JSON.parse(ended.stdout) as {
    results: { trial_id: string; task: string }[];
  };
  return new Map(results.map(({ trial_id, task }) => [task, trial_id]));
}

async function predict(trial: string, input: string): Promise<unknown[]> {
  // The sweep's own, which spares the start of another one.
  const { address } = runtimeStatus(place.stateDir).find(({ name }) => name === 'trainer')!;
  const typed = ['predict', '--trial', trial, '--input', input, '--trainer', address!];
  const ended = await place.run(typed);
  expect({ status: ended.status, stderr: ended.status === 0 ? '' : ended.stderr }).toEqual({
    status: 0,
    stderr: '',
  });
  return ended.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

const ofTrial = (trial: string, file: string): string =>
  readFileSync(join(place.root, 'trials', trial, file), 'utf8');

function writeRows(): void {
  const asked = ANIMALS.map((answer, i) => ({
    question: QUESTIONS[i],
    context: CONTEXTS[i],
    answer,
  }));
  writeFileSync(
    join(folder, 'q.jsonl'),
    lines([...asked, { question: 'Who slept?', context: CONTEXTS[0], answer: '' }]),
  );
  writeFileSync(
    join(folder, 's.jsonl'),
    lines(ANIMALS.map((animal, i) => ({ stars: i / 2, review: `the ${animal} film ${i}` }))),
  );
  writeFileSync(
    join(folder, 'rows.yaml'),
    `tasks:
  - name: q
    kind: question_answering
    train: q.jsonl
    validation: q.jsonl
    question: question
    context: context
    answer: answer
  - { name: s, kind: regression, train: s.jsonl, validation: s.jsonl, text: review, label: stars }
max_length: 32
doc_stride: 4
adapter: { kind: lora, bottleneck: 4 }
compare: [{ pruner: none }]
seeds: [1]
train: { steps: 3, batch_size: 4 }
`,
  );
}

async function expectOwnRows(typed: string[] = []): Promise<void> {
  writeRows();
  const trials = await sweep('./rows.yaml', typed);
  const [q, s] = [trials.get('q')!, trials.get('s')!];
  const read = <Value>(file: string) => JSON.parse(ofTrial(q, file)) as Record<string, Value>;
  const answers = read<string>('answers.validation.json');
  const [spans, margins] = [
    read<string>('spans.validation.json'),
    read<number>('no_answer.validation.json'),
  ];
  const expected = Object.keys(answers).map((id) => ({
    ...{ id, answer: answers[id], score: expect.any(Number) as number },
    ...{ span: spans[id], no_answer: margins[id] },
  }));
  expect(expected).toHaveLength(7);
  expect(await predict(q, 'q.jsonl')).toEqual(expected);
  const asked = ['predict', '--trial', q, '--input', 'q.jsonl', '--trainer', 'localhost:1'];
  expect(await place.run(asked)).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('the trainer at localhost:1 does not answer (') as string,
  });

  const own = join(place.root, 'trials', s, 'predictions.validation.safetensors');
  const { data } = float32Tensor(decodeSafetensors(readFileSync(own)), 'logits');
  expect(await predict(s, 's.jsonl')).toEqual([...data].map((score) => ({ score })));
}

test('questions and numbers', () => expectOwnRows());

withTfjs('questions and numbers by TensorFlow.js', () => expectOwnRows(['--framework', 'tfjs']));

test('summaries', async () => {
  const model = join(folder, 'bart');
  writeBart(model);
  writeTinyBart(model, { words: LETTERS.length, positions: 64 });
  const documents = ANIMALS.map((animal, i) => ({ text: `the ${animal} ran`, short: animal, i }));
  writeFileSync(join(folder, 'd.jsonl'), lines(documents));
  writeFileSync(
    join(folder, 'texts.yaml'),
    `backbone: ${model}
tasks:
  - name: d
    kind: summarization
    train: d.jsonl
    validation: d.jsonl
    document: text
    summary: short
max_length: 32
max_target_length: 12
generation: { beams: 2, min_length: 1, max_length: 8 }
adapter: { kind: parallel, bottleneck: 4 }
compare: [{ pruner: none }]
seeds: [1]
train: { steps: 3, batch_size: 4 }
`,
  );
  const trial = (await sweep('./texts.yaml')).get('d')!;
  const own = ofTrial(trial, 'summaries.validation.jsonl').trim().split('\n');
  expect(new Set(own).size).toBeGreaterThan(1);
  const found = await predict(trial, 'd.jsonl');
  expect(found.map((row) => JSON.stringify(row))).toEqual(own);
});
