/** Ids from outside: whoever reaches the Temporal server can start a workflow with any of them. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../orchestrator/base/errors';
import { datasetPath } from '../../../orchestrator/datasets/splits';
import {
  readPlan,
  readProgress,
  sweepDir,
  trialDir,
  writeMetrics,
  writeProgress,
  writeStage,
} from '../../../orchestrator/store/sweep-store';
import { prepareData } from '../../../workflows/activities/prepare';
import { pendingTrials } from '../../../workflows/activities/results';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-ids-'));
const root = join(folder, 'a', 'b', 'root');
afterAll(() => rmSync(folder, { recursive: true }));

const BAD = [
  '..',
  '.',
  '../../x',
  '/etc',
  'a/b',
  'a\\b',
  '',
  '\0',
  'a\0',
  '-x',
  'x'.repeat(201),
  'é',
  ' ',
];
const stage = { values: {}, warnings: [], environments: [], cohort: 1 };
const progress = {
  ...{ work: 'train', state: 'running', done: 0, total: 0, rows_per_s: 0, losses: {} },
  ...{ note: null, updated: 0 },
};
const setup = { root, trainer: 'unix:/t.sock' };

const uses: [string, string, (id: string) => unknown][] = [
  ['a sweep', 'sweepId', (id) => sweepDir(root, id)],
  ['a trial', 'trialId', (id) => trialDir(root, id)],
  ['a data set', 'dataset', (id) => datasetPath(root, id)],
  ['a plan', 'sweepId', (id) => readPlan(root, id)],
  ['metrics', 'trialId', (id) => writeMetrics(root, id, ['{}'])],
  ['a stage', 'work', (id) => writeStage(root, 't1', id, stage)],
  ['progress', 'cohortId', (id) => writeProgress(root, 's-1', { cohort: id, ...progress })],
  ['progress to read', 'cohortId', (id) => readProgress(root, 's-1', id)],
  [
    'the activity that prepares data',
    'sweepId',
    (sweepId) => prepareData(setup, { sweepId, planDigest: '', dataset: 'd' }),
  ],
  [
    'the activity that lists trials',
    'sweepId',
    (sweepId) => pendingTrials(setup, { sweepId, planDigest: '', cohortId: 'c' }),
  ],
];

test.each(uses)('%s refuses an id that leaves its folder, as %s', async (_, field, use) => {
  for (const id of [...BAD, undefined as unknown as string]) {
    const refused: unknown = await Promise.resolve(id)
      .then(use)
      .catch((error: unknown) => error);
    expect([id, refused]).toEqual([id, expect.any(ConfigError)]);
    expect((refused as ConfigError).problems[0]!.where).toBe(field);
    expect((refused as Error).message).toMatch(/^\w+: .{1,80} is not an id; must be 1 to 200 of/);
  }
  expect(existsSync(root)).toBe(false);
  expect(readdirSync(folder)).toEqual([]);
});

test('ids of plans name their folders', () => {
  expect(sweepDir('/r', 'glue-28e5c220')).toBe('/r/sweeps/glue-28e5c220');
  expect(trialDir('/r', 't0123456789abcdef')).toBe('/r/trials/t0123456789abcdef');
});
