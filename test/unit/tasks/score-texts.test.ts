import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ScoreRequest } from '../../../orchestrator/tasks/family';
import { scoreTask } from '../../../orchestrator/tasks/score';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-score-texts-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('the score of a SQuAD task', () => {
  const context = 'The mill was built in 1802 by two brothers.';
  const qa = (id: string, answer: string | null) => ({
    id,
    question: `${id}?`,
    is_impossible: answer === null,
    answers: answer === null ? [] : [{ text: answer, answer_start: context.indexOf(answer) }],
  });
  const squad = (...qas: object[]) => ({
    version: 'v2.0',
    data: [{ title: '', paragraphs: [{ context, qas }] }],
  });
  const both = squad(qa('when', '1802'), qa('who', 'two brothers'));

  function score(task: string, predictions: unknown, references: unknown, noAnswer?: unknown) {
    const request: ScoreRequest = {
      task,
      predictions: write('answers.json', predictions),
      references: write('dev.json', references),
      ...(noAnswer === undefined ? {} : { naProbs: write('na.json', noAnswer) }),
    };
    return scoreTask(request);
  }

  test('is exact match and F1 in percent', async () => {
    expect(await score('squad', { who: 'brothers', when: 'the 1802.' }, both)).toEqual({
      metrics: { exact_match: 50, f1: (100 * (1 + 2 / 3)) / 2 },
      warnings: [],
      rows: 2,
    });
  });

  test('of v2.0 has thresholds where there are no-answer scores', async () => {
    const references = squad(qa('when', '1802'), qa('why', null));
    const predictions = { when: '1802', why: 'brothers' };
    expect((await score('squad_v2', predictions, references)).metrics).toMatchObject({
      exact: 50,
      NoAns_exact: 0,
      HasAns_exact: 100,
    });
    const { metrics } = await score('squad_v2', predictions, references, { when: 0.1, why: 0.7 });
    expect(metrics).toMatchObject({ exact: 50, best_exact: 100, best_exact_thresh: 0.1 });
  });

  test('leaves out predictions for other questions, and says so', async () => {
    const { metrics, warnings } = await score(
      'squad',
      { who: 'two brothers', when: '1802', where: 'x' },
      both,
    );
    expect(metrics).toEqual({ exact_match: 100, f1: 100 });
    expect(warnings).toEqual([
      expect.stringMatching(
        /^extra_predictions: 1 of 3 are for questions that are not in .*dev\.json: "where"$/,
      ),
    ]);
  });

  test('counts a question of v1.1 without a prediction as 0, and says so', async () => {
    const { metrics, warnings } = await score('squad', { who: 'two brothers' }, both);
    expect(metrics).toEqual({ exact_match: 50, f1: 50 });
    expect(warnings).toEqual([
      expect.stringMatching(/^unanswered: 1 of the 2 questions of .*count as 0: "when"$/),
    ]);
    await expect(score('squad_v2', { who: 'x' }, both)).rejects.toThrow(
      /answers\.json: has nothing for 1 of the 2 questions of .*dev\.json: "when"; must have one/,
    );
  });

  test.each<[string, unknown, RegExp]>([
    [
      'an answer that is no text',
      { who: 7, when: ['x'] },
      /answers\.json: "who" is 7; must be text\n.*"when" is a list; must be text/,
    ],
    [
      'a list of answers',
      ['x'],
      /answers\.json: is not a JSON object; must have values by question id/,
    ],
    ['what is no JSON', 'who: x', /answers\.json: is not valid JSON/],
  ])('refuses %s', async (_what, predictions, message) => {
    await expect(score('squad', predictions, both)).rejects.toThrow(message);
  });

  test('refuses no-answer scores that are no numbers or not all there', async () => {
    const predictions = { who: 'x', when: 'y' };
    await expect(score('squad_v2', predictions, both, { who: '0.5' })).rejects.toThrow(
      /na\.json: "who" is "0\.5"; must be a number/,
    );
    await expect(score('squad_v2', predictions, both, { who: 0.5 })).rejects.toThrow(
      /na\.json: has nothing for 1 of the 2 .*: "when"/,
    );
    await expect(score('squad', predictions, both, { who: 0.5 })).rejects.toThrow(
      /--na-probs: applies only to squad_v2.*remove it for squad/,
    );
  });

  test('refuses references that are broken, at their place', async () => {
    await expect(score('squad', {}, squad(qa('why', null)))).rejects.toThrow(
      /dev\.json: data\[0\]\.paragraphs\[0\]\.qas\[0\]: .*squad_v2/,
    );
  });
});

describe('the score of a summarization task', () => {
  const XSUM = 'document,summary\nlong,The mills stood.\nlong,A boat sank.\n';

  test.each([
    ['one summary a line', 'out.txt', 'the mill stood\r\n\r\n'],
    ['JSONL', 'out.jsonl', '{"summary":"the mill stood"}\n{"summary":""}\n'],
    ['CSV', 'out.csv', 'id,summary\n1,the mill stood\n2,\n'],
  ])('is the mean ROUGE of %s, an empty summary among them', async (_what, name, predictions) => {
    const request = {
      task: 'xsum',
      predictions: write(name, predictions),
      references: write('dev.csv', XSUM),
    };
    expect(await scoreTask(request)).toEqual({
      metrics: { rouge1: 0.5, rouge2: 0.5, rougeL: 0.5, rougeLsum: 0.5 },
      warnings: [],
      rows: 2,
    });
    expect((await scoreTask({ ...request, stemmer: false })).metrics.rouge1).toBeCloseTo(1 / 3, 12);
  });

  test("reads CNN/DailyMail's highlights, whose lines are sentences to rougeLsum", async () => {
    const predictions = write('cnn.jsonl', '{"summary":"b b .\\na a ."}\n');
    const references = write('cnn.csv', 'article,highlights\nlong,"a a .\nb b ."\n');
    const { metrics } = await scoreTask({ task: 'cnn_dailymail', predictions, references });
    expect(metrics).toMatchObject({ rouge1: 1, rougeL: 0.5, rougeLsum: 1 });
  });

  test.each([
    [
      'another number of lines, with both',
      'short.txt',
      'one\n',
      /short\.txt: has 1 summary, but .*dev\.csv has 2 rows; must have one summary per row/,
    ],
    [
      'a row without a summary, by line',
      'no.jsonl',
      '{"summary":"x"}\n{"text":"y"}\n',
      /no\.jsonl:2: has no "summary"/,
    ],
    ['a file that is not there', '../missing/out.txt', null, /out\.txt: there is no such file/],
  ])('refuses %s', async (_what, name, content, message) => {
    const predictions = content === null ? join(folder, name) : write(name, content);
    await expect(
      scoreTask({ task: 'xsum', predictions, references: write('dev.csv', XSUM) }),
    ).rejects.toThrow(message);
  });

  test('refuses references without summaries, and switches of other tasks', async () => {
    const predictions = write('out.txt', 'x\n');
    const empty = write('empty.csv', 'document,summary\nlong,\n');
    await expect(scoreTask({ task: 'xsum', predictions, references: empty })).rejects.toThrow(
      /empty\.csv:2: "summary" is empty/,
    );
    const request = { predictions, references: empty, stemmer: false };
    await expect(scoreTask({ task: 'rte', ...request })).rejects.toThrow(
      /--no-stemmer: applies only to xsum and cnn_dailymail/,
    );
  });
});
