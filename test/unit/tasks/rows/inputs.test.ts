import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { encodeSafetensors } from '../../../../common/safetensors';
import type { RowsDataset } from '../../../../orchestrator/tasks/rows/dataset';
import { rowInputs } from '../../../../orchestrator/tasks/rows/inputs';
import {
  findGlueTask,
  GLUE_TASK_NAMES,
  type GlueTaskName,
} from '../../../../orchestrator/tasks/rows/published';
import { glueSubmissions } from '../../../../orchestrator/tasks/rows/submissions';
import { dataset } from '../../support/plans';
import { writeModel } from '../questions/support/questions';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'sa-orch-inputs-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function submit(task: string, logits: number[][]): string {
  const file = join(folder, `${task}.safetensors`);
  const data = Float32Array.from(logits.flat());
  const shape = [logits.length, logits[0]!.length];
  writeFileSync(file, encodeSafetensors({ logits: { shape, data } }));
  const split = { split: 'test-0', rows: logits.length };
  return glueSubmissions.format(file, split, dataset(task) as RowsDataset);
}

test('GLUE’s submissions have class names, numbers of classes, or scores in [0, 5]', () => {
  const mnli = submit('mnli', [
    [0, 1, 2],
    [3, 1, 2],
  ]);
  expect(mnli).toBe('index\tprediction\n0\tcontradiction\n1\tentailment\n');
  expect(submit('mrpc', [[0, 1]])).toBe('index\tprediction\n0\t1\n');
  expect(submit('stsb', [[5.5], [2.25]])).toBe('index\tprediction\n0\t5.000\n1\t2.250\n');
});

const place = () => ({
  folder,
  mark: '0',
  dataset: dataset('mrpc') as RowsDataset,
  backbonePath: '/none',
});

test('input rows without a column’s text are refused with their lines', async () => {
  const file = join(folder, 'rows.jsonl');
  writeFileSync(file, '{"sentence1": "a", "sentence2": "b"}\n{"sentence1": "a"}\n');
  await expect(rowInputs.writeFile(file, place())).rejects.toThrow(`${file}:2: has no "sentence2"`);
});

test('missing test rows are named', async () => {
  mkdirSync(join(folder, 'MRPC'), { recursive: true });
  await expect(glueSubmissions.writeTest(folder, place())).rejects.toThrow(/has no MRPC\/test.tsv/);
});

test('numbers in a column of texts are texts, as in training', async () => {
  const file = join(folder, 'numbers.jsonl');
  writeFileSync(file, '{"sentence1": 5, "sentence2": [1]}\n');
  await expect(rowInputs.writeFile(file, place())).rejects.toThrow(
    `${file}:1: "sentence2" is a list; must be text or a number`,
  );
});

test('logits that are no numbers are an error, never a label', () => {
  expect(() =>
    submit('mrpc', [
      [0, 1],
      [NaN, 1],
    ]),
  ).toThrow("the adapter's logits for row 2 are NaN or infinite");
});

/** The headers of GLUE's own test files. */
const HEADERS: Record<GlueTaskName, string> = {
  cola: 'index\tsentence',
  sst2: 'index\tsentence',
  mrpc: 'index\t#1 ID\t#2 ID\t#1 String\t#2 String',
  qqp: 'id\tquestion1\tquestion2',
  stsb: 'index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2',
  mnli:
    'index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t' +
    'sentence1_parse\tsentence2_parse\tsentence1\tsentence2',
  qnli: 'index\tquestion\tsentence',
  rte: 'index\tsentence1\tsentence2',
  wnli: 'index\tsentence1\tsentence2',
};

describe('test rows of GLUE', () => {
  const backbonePath = () => join(folder, 'model');
  beforeAll(() => writeModel(backbonePath()));

  test.each(GLUE_TASK_NAMES)('are read for each submission file: %s', async (name) => {
    const own = join(folder, name);
    const rows = `${HEADERS[name]}\n${HEADERS[name].replaceAll(/[^\t]+/g, 'cat')}\n`;
    const write = (place: string, text = rows) => {
      mkdirSync(join(own, 'glue', dirname(place)), { recursive: true });
      writeFileSync(join(own, 'glue', place), text);
    };
    const task = findGlueTask(name);
    const to = { ...place(), dataset: dataset(name) as RowsDataset, backbonePath: backbonePath() };
    if (name !== 'mnli') {
      write(`${task.folder}/test.tsv`);
      const { splits, leftOut } = await glueSubmissions.writeTest(own, to);
      expect(splits).toEqual([{ split: 'test-0', rows: 1, submission: `${task.folder}.tsv` }]);
      expect(leftOut).toEqual([]);
      return;
    }
    for (const file of ['test_matched', 'test_mismatched']) write(`MNLI/${file}.tsv`);
    const without = await glueSubmissions.writeTest(own, to);
    expect(without.leftOut).toEqual([
      {
        submission: 'AX.tsv',
        reason: expect.stringContaining('has no diagnostic/diagnostic.tsv') as string,
      },
    ]);
    write('diagnostic/diagnostic.tsv', 'index\tsentence1\tsentence2\n0\tcat\tdog\n1\ta\tb\n');
    const { splits, leftOut } = await glueSubmissions.writeTest(own, to);
    expect(splits.map(({ submission, rows: many }) => [submission, many])).toEqual([
      ['MNLI-m.tsv', 1],
      ['MNLI-mm.tsv', 1],
      ['AX.tsv', 2],
    ]);
    expect(leftOut).toEqual([]);
  });
});
