import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors } from '../../../../common/safetensors';
import type { RowsDataset } from '../../../../orchestrator/tasks/rows/dataset';
import { rowInputs } from '../../../../orchestrator/tasks/rows/inputs';
import { dataset } from '../../support/plans';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'sa-orch-inputs-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function submit(task: string, logits: number[][]): string {
  const file = join(folder, `${task}.safetensors`);
  const data = Float32Array.from(logits.flat());
  const shape = [logits.length, logits[0]!.length];
  writeFileSync(file, encodeSafetensors({ logits: { shape, data } }));
  return rowInputs.writeSubmission(file, logits.length, dataset(task) as RowsDataset);
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
  await expect(rowInputs.writeFile(file, place())).rejects.toThrow(
    `${file}:2: "sentence2" is missing or empty; must be text`,
  );
});

test('missing test rows are named', async () => {
  mkdirSync(join(folder, 'MRPC'), { recursive: true });
  await expect(rowInputs.writeTest(folder, place())).rejects.toThrow(/has no MRPC\/test.tsv/);
});
