import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../../orchestrator/base/errors';
import { readSquad, type SquadTask } from '../../../../orchestrator/tasks/questions/squad-json';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-squad-'));
const path = join(folder, 'q.json');
afterAll(() => rmSync(folder, { recursive: true }));

const CONTEXT = 'The mill was built in 1802 by two brothers.';
const built = { text: '1802', answer_start: 22 };

function read(document: unknown, task: SquadTask = 'squad') {
  writeFileSync(path, typeof document === 'string' ? document : JSON.stringify(document));
  return readSquad(path, task);
}

/** A file with one paragraph of these questions; what a question does not say is right. */
function file(questions: object[], context: unknown = CONTEXT): object {
  const qas = questions.map((each, i) => ({
    id: `q${i}`,
    question: 'When was it built?',
    answers: [built],
    ...each,
  }));
  return { version: '1.1', data: [{ title: 'Mill', paragraphs: [{ context, qas }] }] };
}

function problems(...request: Parameters<typeof read>): string[] {
  try {
    read(...request);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map(({ where, message }) =>
        `${where}: ${message}`.replace(`${folder}/`, ''),
      );
    throw error;
  }
  return [];
}

describe('a file of SQuAD', () => {
  test('may have whole numbers as ids, which keep all their digits', () => {
    const document = file([{ id: 38544 }, { id: 'LARGE' }, { id: 'LARGER' }]);
    const written = JSON.stringify(document)
      .replace('"LARGE"', '9007199254740992')
      .replace('"LARGER"', '9007199254740993');
    const ids = ['38544', '9007199254740992', '9007199254740993'];
    expect(read(written).map(({ id }) => id)).toEqual(ids);
    expect(problems(file([{ id: 1 }, { id: '1' }]))).toEqual([
      'q.json: data[0].paragraphs[0].qas[1]: has the same id "1" as ' +
        'data[0].paragraphs[0].qas[0]; every question must have its own',
    ]);
    expect(problems(file([{ id: 1.5 }]))).toEqual([
      'q.json: data[0].paragraphs[0].qas[0].id: is 1.5; must be text',
    ]);
  });

  test('gives each question with its context and all its answers, in order', () => {
    const brothers = { text: 'two brothers', answer_start: 30 };
    const document = file([
      {},
      {
        id: 'who',
        question: ' Who built it? ',
        answers: [brothers, { text: 'brothers', answer_start: 34 }],
      },
    ]);
    expect(read(document)).toEqual([
      {
        id: 'q0',
        question: 'When was it built?',
        context: CONTEXT,
        answers: [{ text: '1802', start: 22 }],
      },
      {
        id: 'who',
        question: ' Who built it? ',
        context: CONTEXT,
        answers: [
          { text: 'two brothers', start: 30 },
          { text: 'brothers', start: 34 },
        ],
      },
    ]);
  });

  test('of version 2.0 has questions without an answer, and no plausible answers', () => {
    const impossible = { is_impossible: true, answers: [], plausible_answers: [built] };
    expect(
      read(file([impossible, { is_impossible: false }]), 'squad_v2').map(
        ({ answers }) => answers.length,
      ),
    ).toEqual([0, 1]);
  });

  test('of version 1.1 can be read for squad_v2', () => {
    expect(read(file([{}]), 'squad_v2')).toEqual(read(file([{}])));
  });

  test('counts code points where texts are counted in UTF-16 units here', () => {
    const context = 'a 𝄞 and a 𝄢 clef';
    const [example] = read(file([{ answers: [{ text: '𝄢', answer_start: 10 }] }], context));
    expect(example!.answers).toEqual([{ text: '𝄢', start: 11 }]);
  });

  test.each([
    ['is no JSON', '{"data": [', /^q\.json: is not valid JSON: /],
    [
      'is another JSON',
      '[1, 2]',
      /^q\.json: is not in SQuAD's format; must be \{"version", "data": \[\{"title"/,
    ],
    ['has data that is no list', { data: { title: 'x' } }, /^q\.json: is not in SQuAD's format/],
    ['has no questions', { data: [] }, /^q\.json: has no questions; must have at least one$/],
  ])('that %s is refused', (_what, document, message) => {
    expect(problems(document)).toEqual([expect.stringMatching(message)]);
  });

  test.each<[string, object, string]>([
    [
      'an answer at another place, with the right one',
      { answers: [{ text: '1802', answer_start: 20 }] },
      ': "1802" is not in the context at answer_start 20, where "n 18" is; it first begins at 22',
    ],
    [
      'an answer that is nowhere',
      { answers: [built, { text: '1803', answer_start: 22 }] },
      ': "1803" is not in the context at answer_start 22, where "1802" is; the context ' +
        'does not contain it',
    ],
    [
      'an answer_start that is no place',
      { answers: [{ text: '1802', answer_start: '22' }] },
      `.answer_start: is "22"; must be the place of the answer's first character in the ` +
        'context, counted from 0',
    ],
    [
      'an empty answer',
      { answers: [{ text: '', answer_start: 0 }] },
      '.text: is empty; must be text',
    ],
    [
      'an empty question',
      { question: ' ' },
      'data[0].paragraphs[0].qas[1].question: is empty; must be text',
    ],
    ['an id that is no text', { id: 7.5 }, 'data[0].paragraphs[0].qas[1].id: is 7.5; must be text'],
    [
      'a repeated id',
      { id: 'q0' },
      'data[0].paragraphs[0].qas[1]: has the same id "q0" as data[0].paragraphs[0].qas[0]; every ' +
        'question must have its own',
    ],
    [
      'no list of answers',
      { answers: undefined },
      'data[0].paragraphs[0].qas[1].answers: is missing; must be a list',
    ],
    [
      'an answer that is no object',
      { answers: ['1802'] },
      'qas[1].answers[0]: is "1802"; must be an object',
    ],
    [
      'a question of v1.1 without an answer',
      { answers: [] },
      'qas[1]: has no answer; must have at least one',
    ],
    [
      'a question of v2.0 where v1.1 is asked for',
      { is_impossible: true, answers: [] },
      'v1.1 does not have; use the task squad_v2',
    ],
  ])('with %s is refused at its place', (_what, question, message) => {
    expect(problems(file([{}, question]))).toEqual([expect.stringContaining(message)]);
    expect(problems(file([{}, question]))[0]).toContain('q.json: data[0].paragraphs[0].qas[1]');
  });

  test.each<[string, object, string]>([
    [
      'answers that cannot be',
      { is_impossible: true },
      'qas[0]: is_impossible is true, but the number of answers is 1; must be 0',
    ],
    [
      'neither',
      { answers: [] },
      'qas[0]: has no answer; must have at least one, or "is_impossible": true',
    ],
    [
      'a word for a truth value',
      { is_impossible: 'no' },
      'qas[0].is_impossible: is "no"; must be true or false',
    ],
  ])('of version 2.0 with %s is refused', (_what, question, message) => {
    expect(problems(file([question]), 'squad_v2')).toEqual([expect.stringContaining(message)]);
  });

  test('with an empty context is refused, once for all its questions', () => {
    expect(problems(file([{}, {}], ' '))).toEqual([
      'q.json: data[0].paragraphs[0].context: is empty; must be text',
    ]);
  });

  test('names its first 20 problems and counts the others', () => {
    const found = problems(file(Array.from({ length: 23 }, () => ({ question: '' }))));
    expect(found).toHaveLength(21);
    expect(found[20]).toBe('q.json: and 3 more problems');
  });
});
