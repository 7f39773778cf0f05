import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scoreTask } from '../../../../orchestrator/tasks/score';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-score-'));
const predictions = join(folder, 'predictions.txt');
const references = join(folder, 'dev.tsv');
afterAll(() => rmSync(folder, { recursive: true }));

function score(task: string, predicted: string, tsv: string) {
  writeFileSync(predictions, predicted);
  writeFileSync(references, tsv);
  return scoreTask({ task, predictions, references });
}

const RTE =
  'index\tsentence1\tsentence2\tlabel\n' +
  '0\ta\tb\tentailment\n1\ta\tb\tnot_entailment\n2\ta\tb\tentailment\n';
const MRPC =
  '\uFEFFQuality\t#1 ID\t#2 ID\t#1 String\t#2 ' +
  'String\n1\t1\t2\ta\tb\n0\t1\t2\ta\tb\n1\t1\t2\ta\tb\n1\t1\t2\ta\tb\n';

describe('the score of a GLUE task', () => {
  test('takes class names and indices, with or without an end to the last line', async () => {
    const expected = { metrics: { accuracy: 2 / 3 }, warnings: [], rows: 3 };
    expect(await score('rte', 'entailment\nentailment\nentailment\n', RTE)).toEqual(expected);
    expect(await score('rte', '0\r\n0\r\n0', RTE)).toEqual(expected);
  });

  test('gives all official metrics of a task', async () => {
    expect((await score('mrpc', '1\n1\n1\n0\n', MRPC)).metrics).toEqual({
      accuracy: 0.5,
      f1: 4 / 6,
    });
    const stsb = 'sentence1\tsentence2\tscore\na\tb\t1\na\tb\t2\na\tb\t4\n';
    expect((await score('stsb', '0.1\n0.2\n0.4\n', stsb)).metrics).toEqual({
      pearson: expect.closeTo(1, 12) as number,
      spearman: expect.closeTo(1, 12) as number,
    });
  });

  test("gives MNLI's accuracy for whichever file is given", async () => {
    const mnli = 'index\tsentence1\tsentence2\tgold_label\n0\ta\tb\tneutral\n';
    expect((await score('mnli', 'neutral\n', mnli)).metrics).toEqual({ accuracy: 1 });
  });

  test.each([
    [
      'too few predictions, with both counts',
      'rte',
      '0\n1\n',
      RTE,
      /predictions\.txt: has 2 predictions, but .*dev\.tsv has 3 rows/,
    ],
    [
      'a line that is no prediction, with its number',
      'rte',
      '0\nperhaps\n1\n',
      RTE,
      /predictions\.txt:2: "perhaps" is not a prediction of rte; must be one of entailment/,
    ],
    ['an empty line', 'rte', '0\n\n1\n', RTE, /predictions\.txt:2: "" is not a prediction/],
    [
      'references without labels',
      'rte',
      '0\n',
      'index\tsentence1\tsentence2\n0\ta\tb\n',
      /dev\.tsv: row 1 has no label/,
    ],
    ['an unknown task', 'rta', '0\n', RTE, /--task: "rta" is not a published task; .*mean "rte"/],
  ])('refuses %s', async (_what, task, predicted, tsv, message) => {
    await expect(score(task, predicted, tsv)).rejects.toThrow(message);
  });
});
