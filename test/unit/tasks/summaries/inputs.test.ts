import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors, readSafetensors } from '../../../../orchestrator/datasets/safetensors';
import type { SummaryDataset } from '../../../../orchestrator/tasks/summaries/dataset';
import { summaryInputs } from '../../../../orchestrator/tasks/summaries/inputs';
import type { InputPlace } from '../../../../orchestrator/tasks/inputs';
import { dataset } from '../../support/plans';
import { toIds, writeBart } from './support/summaries';

let folder: string;
let place: InputPlace<SummaryDataset>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-summary-inputs-'));
  const backbonePath = join(folder, 'model');
  writeBart(backbonePath);
  const columns = { document: 'text', summary: 'short' };
  const summaries = { columns, max_target_length: 8 };
  const kind = 'summarization' as const;
  const planned = { ...dataset('mrpc'), task: 'xsum', kind, max_length: 10, summaries };
  place = { folder, mark: '0', backbonePath, dataset: planned };
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(content: string): string {
  const file = join(folder, 'd.jsonl');
  writeFileSync(file, content);
  return file;
}

test('documents are cut as for training, and summaries told by their rows', async () => {
  const file = write('{"text": "a mill burned"}\n{"text": "a ship"}\n');
  const split = await summaryInputs.writeFile(file, place);
  expect(split).toEqual({ split: 'input-0', rows: 2 });
  const { data } = readSafetensors(join(folder, 'input-0.safetensors')).get('input_ids')!;
  expect([...data]).toEqual([0, ...toIds('a mill b'), 2, 0, ...toIds('a ship'), 2]);

  const path = join(folder, 'p.safetensors');
  const ids = Int32Array.from([...toIds(' mill'), 2, ...toIds('ship'), 2]);
  const offsets = BigInt64Array.from([0n, 6n, 11n]);
  const tensors = {
    generated_ids: { shape: [11], data: ids },
    generated_offsets: { shape: [3], data: offsets },
  };
  writeFileSync(path, encodeSafetensors(tensors));
  expect(await summaryInputs.describe(path, split, place)).toEqual([
    { row: 1, summary: 'mill' },
    { row: 2, summary: 'ship' },
  ]);
});

test('what is no document is refused with its line', async () => {
  const file = write('{"text": ""}\n{"other": 1}\n{"text": 3}\n');
  const message = [
    `${file}:1: "text" is empty; must be text`,
    `${file}:2: has no "text"`,
    `${file}:3: "text" is a number; must be text`,
  ].join('\n');
  await expect(summaryInputs.writeFile(file, place)).rejects.toThrow(message);
});
