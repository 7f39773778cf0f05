import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOwnQuestions } from '../../../../orchestrator/tasks/questions/own-tables';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-own-questions-'));
afterAll(() => rmSync(folder, { recursive: true }));

const COLUMNS = { question: 'q', context: 'c', answer: 'a', answer_start: null };
const PLACED = { ...COLUMNS, answer_start: 's' };

function read(name: string, content: string, columns: typeof COLUMNS | typeof PLACED = COLUMNS) {
  writeFileSync(join(folder, name), content);
  return readOwnQuestions(join(folder, name), columns);
}

const jsonl = (...rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

describe('questions in tables', () => {
  test('have their row’s number as id, and their answer where the context has it', async () => {
    expect(await read('a.csv', 'q,c,a\nWho?,"a cat, a dog",a dog\nWhat?,one two,\n')).toEqual([
      {
        id: '1',
        question: 'Who?',
        context: 'a cat, a dog',
        answers: [{ text: 'a dog', start: 7 }],
      },
      { id: '2', question: 'What?', context: 'one two', answers: [] },
    ]);
  });

  test('may say where the answer begins, in characters', async () => {
    const row = { q: 'Which?', c: '𝄞 on and on', a: 'on', s: 9 };
    expect(await read('a.jsonl', jsonl(row), PLACED)).toMatchObject([
      { answers: [{ text: 'on', start: 10 }] },
    ]);
    expect(await read('a.tsv', 'q\tc\ta\ts\nWhich?\ton and on\ton\t7\n', PLACED)).toMatchObject([
      { answers: [{ start: 7 }] },
    ]);
  });

  test('of JSON have no answer where it is null', async () => {
    expect(await read('a.jsonl', jsonl({ q: 'Which?', c: 'one', a: null }))).toMatchObject([
      { answers: [] },
    ]);
  });

  test.each<[string, object, string]>([
    ['an empty question', { q: ' ' }, '"q" is empty; must be text'],
    ['an empty context', { c: '' }, '"c" is empty; must be text'],
    ['a list of answers', { a: ['on'] }, '"a" is ["on"]; must be text'],
    ['no answer at all', { a: undefined }, 'has no "a"'],
    [
      'another text at its place',
      { s: 3 },
      '"on" is not in the context at "s" 3, where "an" is; it first begins at 0',
    ],
    ['a place behind the end', { s: 99 }, '"on" is not in the context at "s" 99, where "" is'],
    [
      'a place that is no number',
      { s: 'here' },
      '"s" is "here"; must be the place of the answer\'s first character in the context, ' +
        'counted from 0',
    ],
    ['an empty place', { s: ' ' }, '"s" is " "; must be the place of'],
    ['half a place', { s: 0.5 }, '"s" is 0.5; must be the place of'],
  ])('with %s are refused with file and line', async (_what, change, message) => {
    const row = { q: 'Which?', c: 'on and on', a: 'on', s: 0 };
    await expect(read('a.jsonl', jsonl(row, { ...row, ...change }), PLACED)).rejects.toThrow(
      `${folder}/a.jsonl:2: ${message}`,
    );
  });

  test('are counted where more than 20 are wrong', async () => {
    await expect(read('a.csv', `q,c,a\n${'Who?,one,two\n'.repeat(23)}`)).rejects.toThrow(
      'a.csv: and 3 more rows',
    );
  });
});
