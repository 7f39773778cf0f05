import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors, readSafetensors } from '../../../../orchestrator/datasets/safetensors';
import type { QuestionDataset } from '../../../../orchestrator/tasks/questions/dataset';
import { questionInputs } from '../../../../orchestrator/tasks/questions/inputs';
import type { InputPlace } from '../../../../orchestrator/tasks/inputs';
import { dataset } from '../../support/plans';
import { CONTEXT, squadJson, WHEN, WHO, writeModel } from './support/questions';

let folder: string;
let place: InputPlace<QuestionDataset>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-question-inputs-'));
  const backbonePath = join(folder, 'model');
  writeModel(backbonePath);
  place = { folder, mark: '0', backbonePath, dataset: planned({ no_answer: false }) };
});
afterEach(() => rmSync(folder, { recursive: true }));

function planned(questions: Partial<QuestionDataset['questions']>): QuestionDataset {
  const kind = 'question_answering' as const;
  const rules = { doc_stride: 4, no_answer: true, ...questions };
  return { ...dataset('mrpc'), task: 'squad', kind, max_length: 32, questions: rules };
}

function write(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

const line = (row: object) => `${JSON.stringify(row)}\n`;

/** Logits that are highest for `Monday` as a whole answer. */
function predict(split: string): string {
  const path = join(folder, `${split}.safetensors`);
  const tokens = readSafetensors(path).get('input_ids')!.data.length;
  const data = new Float32Array(2 * tokens);
  data[2 * 9] = data[2 * 9 + 1] = 3;
  return writeLogits({ shape: [tokens, 2], data });
}

function writeLogits(logits: { shape: number[]; data: Float32Array }): string {
  const path = join(folder, 'p.safetensors');
  writeFileSync(path, encodeSafetensors({ logits }));
  return path;
}

test('questions of a table have the ids of their column, or numbers of rows', async () => {
  const { question } = WHO;
  const file = write(
    'q.jsonl',
    line({ question, context: CONTEXT, id: 7 }) + line({ question, context: CONTEXT }),
  );
  const split = await questionInputs.writeFile(file, place);
  expect(split).toEqual({ split: 'input-0', rows: 2 });
  const found = await questionInputs.describe(predict(split.split), split, place);
  expect(found).toEqual([
    { id: '7', answer: 'Monday', score: 6 },
    { id: '2', answer: 'The', score: 0 },
  ]);
});

test('SQuAD’s JSON needs no answers, and by its second rules the margin is told', async () => {
  const file = write('q.json', squadJson([WHO, WHEN]).replaceAll(/,"answers":\[.*?\]/g, ''));
  place.dataset = planned({ no_answer: true });
  const split = await questionInputs.writeFile(file, place);
  const [first] = await questionInputs.describe(predict(split.split), split, place);
  expect(first).toEqual({ id: 'q0', answer: 'Monday', score: 6, span: 'Monday', no_answer: -6 });
});

test('the columns are those of an own task', async () => {
  const columns = { question: 'asked', context: 'text', answer: 'a', answer_start: null };
  place.dataset = planned({ columns });
  const file = write('q.csv', `asked,text\nWho sat?,${CONTEXT}\n`);
  expect((await questionInputs.writeFile(file, place)).rows).toBe(1);
});

test('what cannot be asked is refused with its line', async () => {
  const { question } = WHO;
  const rows = [
    { question },
    { question: ' ', context: CONTEXT },
    { question, context: CONTEXT, id: 0.5 },
  ];
  const file = write('q.jsonl', rows.map(line).join(''));
  const message = [
    `${file}:1: has no "context"`,
    `${file}:2: "question" is empty; must be text`,
    `${file}:3: "id" is 0.5; must be text or a whole number`,
  ].join('\n');
  await expect(questionInputs.writeFile(file, place)).rejects.toThrow(message);
});

test('logits that are no numbers are an error, never an answer', async () => {
  const file = write('q.jsonl', line({ question: WHO.question, context: CONTEXT }));
  const split = await questionInputs.writeFile(file, place);
  const tokens = readSafetensors(join(folder, 'input-0.safetensors')).get('input_ids')!;
  const data = new Float32Array(2 * tokens.data.length).fill(NaN);
  const path = writeLogits({ shape: [tokens.data.length, 2], data });
  expect(() => questionInputs.describe(path, split, place)).toThrow(
    "the adapter's logits for question 1 are NaN or infinite",
  );
});
