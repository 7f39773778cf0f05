import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  readPlan,
  readResults,
  sweepDir,
  trialDir,
  writePlan,
} from '../../../orchestrator/store/sweep-store';
import { writeJsonDurably } from '../../../common/durable-files';
import { tinyPlan } from '../support/tiny-plan';

const root = mkdtempSync(join(tmpdir(), 'sa-orch-store-'));
afterAll(() => rmSync(root, { recursive: true }));

const planFile = join(sweepDir(root, 'tiny-00000000'), 'plan.json');

describe('a plan file', () => {
  test('is read as it was written', async () => {
    const digest = await writePlan(root, tinyPlan());
    expect(await readPlan(root, 'tiny-00000000', digest)).toEqual(tinyPlan());
  });

  test('that another version wrote is refused, and that is said', async () => {
    await writePlan(root, tinyPlan());
    writeFileSync(planFile, readFileSync(planFile, 'utf8').replace('"format": 3', '"format": 1'));
    await expect(readPlan(root, 'tiny-00000000')).rejects.toThrow(
      `${planFile}: has format 1, from another version of sa-orch; ` +
        'must be 3: start the sweep again',
    );
  });

  test('that is not there is said', async () => {
    await expect(readPlan(root, 'none-00000000')).rejects.toThrow(
      'no such plan; `sa-orch status` lists the sweeps',
    );
  });
});

test('a failure that an earlier version wrote to the trial counts for no sweep', async () => {
  await writeJsonDurably(join(trialDir(root, 't1'), 'result.json'), { status: 'failed' });
  await writeJsonDurably(join(trialDir(root, 't2'), 'result.json'), { status: 'done' });
  expect(await readResults(root, tinyPlan())).toEqual([{ status: 'done' }]);
});
