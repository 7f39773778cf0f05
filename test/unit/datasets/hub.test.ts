import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findGlueTask } from '../../../orchestrator/tasks/rows/published';
import { fetchParquet } from '../../../orchestrator/datasets/hub';
import { readSquadParquet } from '../../../orchestrator/tasks/questions/squad-parquet';
import { publishedTask } from '../../../orchestrator/tasks/registry';
import { readGlueParquet } from '../../../orchestrator/tasks/rows/glue-parquet';
import { PARQUET, SQUAD_PARQUET } from '../support/parquet';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-hub-'));
const file = join(folder, 'validation.parquet');
afterAll(() => rmSync(folder, { recursive: true }));

describe("the hub's parquet files", () => {
  test('hold the rows of a task; a label of -1 is none', async () => {
    writeFileSync(file, PARQUET);
    expect(await readGlueParquet(file, findGlueTask('mrpc'))).toEqual([
      { text: 'A "quote"', pair: 'B', label: 1 },
      { text: 'Zwei', pair: 'Two', label: null },
    ]);
  });

  test('hold the questions of SQuAD, with all their answers or none', async () => {
    writeFileSync(file, SQUAD_PARQUET);
    const context = 'Der Müller 𝄞 sang.';
    const answers = [
      { text: 'Müller', start: 4 },
      { text: 'Der Müller', start: 0 },
    ];
    expect(await readSquadParquet(file, 'squad_v2')).toEqual([
      { id: 'q0', question: 'Who sang?', context, answers },
      { id: 'q1', question: 'Who slept?', context, answers: [] },
    ]);
  });

  test('of questions are checked as the JSON is', async () => {
    writeFileSync(file, SQUAD_PARQUET);
    await expect(readSquadParquet(file, 'squad')).rejects.toThrow(
      `${file}, row 2: has no answer; must have at least one`,
    );
    writeFileSync(file, PARQUET);
    await expect(readSquadParquet(file, 'squad')).rejects.toThrow(
      'has no column "id"; the columns are "sentence1", "sentence2", "label"',
    );
  });

  test('of another task are refused with the columns that they have', async () => {
    writeFileSync(file, PARQUET);
    await expect(readGlueParquet(file, findGlueTask('qnli'))).rejects.toThrow(
      'has no column "question"; the columns are "sentence1", "sentence2", "label"',
    );
  });

  test('that are broken are named', async () => {
    writeFileSync(file, 'no parquet at all');
    await expect(readGlueParquet(file, findGlueTask('mrpc'))).rejects.toThrow(
      `${file}: is not a parquet file: it begins with "no parquet at all"`,
    );
  });

  test('in shards are taken from a commit that has them all', async () => {
    process.env.HF_HUB_CACHE = join(folder, 'cache');
    const at = (commit: string) =>
      join(folder, 'cache', 'datasets--abisee--cnn_dailymail', 'snapshots', commit, '3.0.0');
    for (const [commit, shards] of [
      ['a', 1],
      ['b', 3],
    ] as const) {
      mkdirSync(at(commit), { recursive: true });
      for (let i = 0; i < shards; i++)
        writeFileSync(join(at(commit), `train-0000${i}-of-00003.parquet`), '');
      writeFileSync(join(at(commit), 'validation-00000-of-00001.parquet'), '');
    }
    try {
      expect(await fetchParquet(publishedTask('cnn_dailymail'), { HF_HUB_OFFLINE: '1' })).toEqual({
        train: join(at('b'), 'train-00000-of-00003.parquet'),
        validation: join(at('a'), 'validation-00000-of-00001.parquet'),
      });
    } finally {
      delete process.env.HF_HUB_CACHE;
    }
  });

  test('are not asked for where HF_HUB_OFFLINE says so', async () => {
    const env = { HF_HUB_OFFLINE: '1' };
    const task = {
      ...publishedTask('rte'),
      hub: { repo: 'nobody/no-such', files: { train: 'train.parquet' } },
    };
    await expect(fetchParquet(task, env)).rejects.toThrow('HF_HUB_OFFLINE is set');
  });
});
