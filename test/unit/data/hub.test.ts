import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { glueTask } from '../../../orchestrator/data/glue-tasks';
import { fetchGlueParquet, readGlueParquet } from '../../../orchestrator/data/hub';
import { PARQUET } from '../support/parquet';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-hub-'));
const file = join(folder, 'validation.parquet');
afterAll(() => rmSync(folder, { recursive: true }));

describe("the hub's parquet files", () => {
  test('hold the rows of a task; a label of -1 is none', async () => {
    writeFileSync(file, PARQUET);
    expect(await readGlueParquet(file, glueTask('mrpc'))).toEqual([
      { text: 'A "quote"', pair: 'B', label: 1 },
      { text: 'Zwei', pair: 'Two', label: null },
    ]);
  });

  test('of another task are refused with the columns that they have', async () => {
    writeFileSync(file, PARQUET);
    await expect(readGlueParquet(file, glueTask('qnli'))).rejects.toThrow(
      'row 1: does not have the columns question, sentence, label; it has sentence1',
    );
  });

  test('that are broken are named', async () => {
    writeFileSync(file, 'no parquet at all');
    await expect(readGlueParquet(file, glueTask('mrpc'))).rejects.toThrow(`${file}: is not a readable parquet file`);
  });

  test('are not asked for where HF_HUB_OFFLINE says so', async () => {
    const env = { HF_HUB_OFFLINE: '1' };
    await expect(fetchGlueParquet({ ...glueTask('rte'), name: 'no-such' as 'rte' }, env)).rejects.toThrow('HF_HUB_OFFLINE is set');
  });
});
