import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scoreTask } from '../../../../orchestrator/tasks/score';
import { questionTrial, type Said } from './support/trial';
import { NOBODY, WHEN, WHO } from './support/questions';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-answers-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Context tokens: the cat sat on monday . a dog ran on friday . */
const THE_CAT: Said = { span: [0, 1] };
const DOG_RAN: Said = { span: [7, 8] };
const FRIDAY: Said = { span: [10, 10] };

/** A trial of v2.0 that has answered five questions, the last two of which have no answer. */
async function predictFiveQuestions() {
  const asked = [WHO, WHEN, WHO, NOBODY, NOBODY];
  const { predict, evaluate } = await questionTrial(folder, 'squad_v2', asked);
  predict([
    THE_CAT,
    { ...FRIDAY, none: 6 },
    { ...THE_CAT, none: 5.5 },
    { ...FRIDAY, none: 7 },
    { ...DOG_RAN, none: 3 },
  ]);
  return evaluate;
}

describe('answers to questions', () => {
  test('are texts of the context, scored as the official script does, in [0, 1]', async () => {
    const { predict, evaluate } = await questionTrial(folder, 'squad', [WHO, WHEN]);
    predict([THE_CAT, DOG_RAN]);
    expect(await evaluate()).toEqual({
      metrics: { f1: 0.5, exact_match: 0.5 },
      warnings: [],
      thresholds: {},
      files: { 'answers.validation.json': { q0: 'The cat', q1: 'dog ran' } },
    });
  });

  test('of v2.0 are empty where "no answer" is likelier; spans and margins are kept', async () => {
    const evaluate = await predictFiveQuestions();
    const { metrics, thresholds, files, warnings } = await evaluate();
    expect(files).toEqual({
      'answers.validation.json': { q0: 'The cat', q1: '', q2: '', q3: '', q4: 'dog ran' },
      'spans.validation.json': {
        q0: 'The cat',
        q1: 'Friday',
        q2: 'The cat',
        q3: 'Friday',
        q4: 'dog ran',
      },
      'no_answer.validation.json': { q0: -10, q1: 2, q2: 1, q3: 4, q4: -4 },
    });
    // At 0 the first and the fourth are right; at 2 the second and the third have their answers
    // too.
    expect(metrics).toEqual({
      f1: 0.4,
      exact_match: 0.4,
      best_f1: 0.8,
      has_answer_f1: expect.closeTo(1 / 3, 12) as number,
      no_answer_f1: 0.5,
    });
    expect(thresholds).toEqual({ best_f1: 2 });
    expect(warnings).toEqual([]);
  });

  test('in their files give the same metrics when they are scored', async () => {
    const evaluate = await predictFiveQuestions();
    const { metrics, thresholds, files } = await evaluate();
    for (const [name, values] of Object.entries(files!))
      writeFileSync(join(folder, name), JSON.stringify(values));
    const score = (predictions: string) =>
      scoreTask({
        task: 'squad_v2',
        predictions: join(folder, predictions),
        references: join(folder, 'dev-v2.0.json'),
        naProbs: join(folder, 'no_answer.validation.json'),
      });
    const { f1, exact, HasAns_f1, NoAns_f1 } = (await score('answers.validation.json')).metrics;
    expect([f1, exact, HasAns_f1, NoAns_f1]).toEqual(
      ['f1', 'exact_match', 'has_answer_f1', 'no_answer_f1'].map((name) => 100 * metrics[name]!),
    );
    const { best_f1, best_f1_thresh } = (await score('spans.validation.json')).metrics;
    expect([best_f1, best_f1_thresh]).toEqual([100 * metrics.best_f1!, thresholds!.best_f1]);
  });

  test('are marked where every one is empty though questions have answers', async () => {
    const { predict, evaluate } = await questionTrial(folder, 'squad_v2', [WHO, NOBODY]);
    predict([
      { ...THE_CAT, none: 9 },
      { ...FRIDAY, none: 9 },
    ]);
    expect(await evaluate()).toMatchObject({
      metrics: { f1: 0.5 },
      warnings: ['empty_answers: every answer of validation is empty'],
    });
  });

  test('of logits that are NaN or infinite are empty, and that is said', async () => {
    const { predict, evaluate } = await questionTrial(folder, 'squad', [WHO, WHEN]);
    predict([THE_CAT, { ...FRIDAY, sure: NaN }]);
    expect(await evaluate()).toMatchObject({
      metrics: { f1: 0.5 },
      warnings: ['non_finite_predictions: 1 of 2 questions have logits that are NaN or infinite'],
    });
  });

  test('have a metric of 0 where it is of questions that are missing, and say so', async () => {
    const { predict, evaluate } = await questionTrial(
      folder,
      'squad_v2',
      [WHO],
      ['f1', 'no_answer_f1'],
    );
    predict([THE_CAT]);
    expect(await evaluate()).toMatchObject({
      metrics: { f1: 1, no_answer_f1: 0 },
      thresholds: {},
      warnings: ['undefined_metric: no_answer_f1 is undefined on these questions and counts as 0'],
    });
  });

  test('are refused of logits of another shape, by the name of their file', async () => {
    const { write, evaluate } = await questionTrial(folder, 'squad', [WHO]);
    write([3, 2], new Float32Array(6));
    await expect(evaluate()).rejects.toThrow(
      /predictions\.validation\.safetensors: has logits of shape \[3, 2\]; must be \[18, 2\]/,
    );
  });
});
