import {
  evaluateSquad,
  evaluateSquadV2,
  normalizedWords,
  scoreAnswer,
  scoreAnswerV2,
} from '../../../../orchestrator/tasks/questions/metrics';
import {
  chooseAnswer,
  type SpanLogits,
  type Window,
} from '../../../../orchestrator/tasks/questions/answers';

const question = (id: string, ...answers: string[]) => ({
  id,
  answers: answers.map((text) => ({ text })),
});

describe('the words of an answer', () => {
  test.each([
    [
      'are without case, articles, punctuation and space',
      ' The  "Grand" Hôtel,\nan Inn! ',
      ['grand', 'hôtel', 'inn'],
    ],
    ['lose punctuation before articles, which joins words', 'A-team a.m. (the)', ['ateam', 'am']],
    ['keep punctuation that is not ASCII', '“the” – 5’', ['“', '”', '–', '5’']],
    [
      'keep letters that look like an article beside one with an accent',
      'la São à á',
      ['la', 'são', 'à', 'á'],
    ],
    [
      'are parted by what Python calls white space',
      'x\u001cy\u0085z\ufeffw',
      ['x', 'y', 'z\ufeffw'],
    ],
    ['can be none', 'The, a.', []],
  ])('%s', (_what, text, words) => {
    expect(normalizedWords(text)).toEqual(words);
  });

  test('are counted as often as both answers have them', () => {
    // Shared: new, new, york. Precision 3/4, recall 3/3.
    expect(scoreAnswer('New New New York', question('q', 'new york new'))).toEqual({
      exact: 0,
      f1: (2 * 0.75) / 1.75,
    });
  });
});

describe('the score of an answer', () => {
  test('is the best over the gold answers, exact match and F1 each for itself', () => {
    expect(scoreAnswer('the red mill', question('q', 'mill', 'Red mill'))).toEqual({
      exact: 1,
      f1: 1,
    });
    expect(scoreAnswer('a mill', question('q', 'red mill', 'river'))).toEqual({
      exact: 0,
      f1: 2 / 3,
    });
  });

  test('of v1.1 has no F1 where nothing is left of either, of v2.0 it has', () => {
    expect(scoreAnswer('the', question('q', 'a'))).toEqual({ exact: 1, f1: 0 });
    expect(scoreAnswerV2('the', question('q'))).toEqual({ exact: 1, f1: 1 });
    expect(scoreAnswerV2('mill', question('q'))).toEqual({ exact: 0, f1: 0 });
    expect(scoreAnswerV2('', question('q', 'the', 'mill'))).toEqual({ exact: 0, f1: 0 });
  });
});

describe('evaluation', () => {
  const references = [
    question('a', 'red mill'),
    question('b', 'river'),
    question('c'),
    question('d'),
  ];
  const predictions = new Map([
    ['a', 'mill'],
    ['b', 'river'],
    ['c', ''],
    ['d', 'moon'],
    ['unasked', 'x'],
  ]);

  test('of v1.1 is the mean in percent', () => {
    expect(evaluateSquad(references.slice(0, 2), predictions)).toEqual({
      exact_match: 50,
      f1: (100 * (1 + 2 / 3)) / 2,
    });
  });

  test('of v2.0 parts the questions with an answer from those without', () => {
    expect(evaluateSquadV2(references, predictions, null)).toEqual({
      exact: 50,
      f1: (100 * (2 / 3 + 2)) / 4,
      total: 4,
      HasAns_exact: 50,
      HasAns_f1: (100 * (2 / 3 + 1)) / 2,
      HasAns_total: 2,
      NoAns_exact: 50,
      NoAns_f1: 50,
      NoAns_total: 2,
    });
    expect(Object.keys(evaluateSquadV2(references.slice(0, 2), predictions, null))).not.toContain(
      'NoAns_total',
    );
  });

  test('of v2.0 sets an answer aside above the threshold', () => {
    const noAnswer = new Map([
      ['a', 0.1],
      ['b', 1.5],
      ['c', 0.9],
      ['d', 1.1],
    ]);
    expect(evaluateSquadV2(references, predictions, noAnswer)).toMatchObject({
      HasAns_exact: 0,
      NoAns_exact: 100,
      exact: 50,
    });
    expect(evaluateSquadV2(references, predictions, noAnswer, 2)).toMatchObject({
      exact: 50,
      HasAns_exact: 50,
      NoAns_exact: 50,
    });
  });

  test('of v2.0 finds the threshold that would have been best', () => {
    const noAnswer = new Map([
      ['d', 0.9],
      ['c', 0.8],
      ['b', 0.3],
      ['a', 0.2],
      ['unasked', 0],
    ]);
    // All set aside: 2 right. Up to 0.2: F1 2/3 more. Up to 0.3: exact 1 and F1 1 more. Up to 0.9:
    // d is wrong.
    expect(evaluateSquadV2(references, predictions, noAnswer)).toMatchObject({
      best_exact: 75,
      best_exact_thresh: 0.3,
      best_f1: (100 * (2 + 2 / 3 + 1)) / 4,
      best_f1_thresh: 0.3,
    });
  });

  test('counts a question of v1.1 without a prediction as 0', () => {
    expect(evaluateSquad(references, new Map())).toEqual({ exact_match: 0, f1: 0 });
  });

  test('refuses a question without a no-answer score', () => {
    expect(() => evaluateSquadV2(references, predictions, new Map())).toThrow(
      'there is no no-answer score for question a',
    );
  });
});

describe('the answer that logits choose', () => {
  const context = 'red mill by the river';
  const window: Window = { contextBegin: 3, begins: [0, 4, 9, 12, 16], ends: [3, 8, 11, 15, 21] };
  /** Logits of a row of 9 tokens: [CLS], question, [SEP], five of the context, [SEP]. */
  const logits = (start: Record<number, number>, end: Record<number, number>): SpanLogits => {
    const row = (values: Record<number, number>) =>
      Float32Array.from({ length: 9 }, (_, i) => values[i] ?? -9);
    return { start: row(start), end: row(end) };
  };

  test('is the span with the highest sum, as it is written in the context', () => {
    const chosen = chooseAnswer(context, [window], [logits({ 3: 2, 4: 3 }, { 4: 1, 7: 2 })]);
    expect(chosen).toEqual({
      text: 'mill by the river',
      nonEmptyText: 'mill by the river',
      noAnswerMargin: -23,
      ...{ score: 5, nonEmptyScore: 5 },
      finite: true,
    });
  });

  test.each<[string, SpanLogits]>([
    ['begins outside the context', logits({ 1: 9, 4: 1 }, { 4: 2 })],
    ['ends outside the context', logits({ 4: 1 }, { 8: 9, 4: 2 })],
    ['ends before it begins', logits({ 7: 9, 4: 1 }, { 3: 9, 4: 2 })],
  ])('is none that %s', (_what, given) => {
    const { text } = chooseAnswer(context, [window], [given], { best: 2, longest: 30 });
    expect(text).toBe('mill');
  });

  test('is none of more tokens than allowed', () => {
    const given = logits({ 3: 5, 5: 0 }, { 5: 5 });
    expect(chooseAnswer(context, [window], [given], { best: 20, longest: 3 }).text).toBe(
      'red mill by',
    );
    expect(chooseAnswer(context, [window], [given], { best: 20, longest: 2 }).text).toBe('by');
  });

  test('is out of the highest starts and ends only', () => {
    const given = logits({ 0: 9, 4: 8 }, { 0: 9, 4: 8 });
    expect(chooseAnswer(context, [window], [given], { best: 1, longest: 30 })).toMatchObject({
      text: '',
      nonEmptyText: '',
      noAnswerMargin: 18,
    });
    expect(chooseAnswer(context, [window], [given], { best: 2, longest: 30 })).toMatchObject({
      text: 'mill',
      noAnswerMargin: 2,
    });
  });

  test('is the best over all features, and "no answer" has the lowest score of all', () => {
    const second: Window = { contextBegin: 3, begins: [12, 16], ends: [15, 21] };
    const chosen = chooseAnswer(
      context,
      [window, second],
      [logits({ 0: 4, 4: 2 }, { 0: 4, 4: 2 }), logits({ 0: 1, 4: 3 }, { 0: 2, 4: 3 })],
    );
    expect(chosen).toEqual({
      text: 'river',
      nonEmptyText: 'river',
      noAnswerMargin: 3 - 6,
      ...{ score: 6, nonEmptyScore: 6 },
      finite: true,
    });
  });

  test('can be an empty piece of text in v1.1, which v2.0 passes over', () => {
    const spaces: Window = { contextBegin: 3, begins: [0, 4], ends: [3, 4] };
    const chosen = chooseAnswer(context, [spaces], [logits({ 3: 1, 4: 2 }, { 3: 1, 4: 2 })]);
    expect(chosen).toMatchObject({ text: '', score: 4, nonEmptyText: 'red ', nonEmptyScore: 3 });
  });

  test('is empty, and marked, where a logit is no number', () => {
    const broken = logits({ 4: 1 }, { 4: NaN });
    expect(
      chooseAnswer(context, [window, window], [logits({ 4: 1 }, { 4: 1 }), broken]),
    ).toMatchObject({ text: '', finite: false });
  });
});
