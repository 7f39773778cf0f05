import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareWithLast } from '../../../orchestrator/cli/last-sweep';
import { countRemaining } from '../../../orchestrator/cli/remaining';
import { describeSize } from '../../../orchestrator/cli/request';
import { writePlan } from '../../../orchestrator/store/plan-store';
import { writeResult } from '../../../orchestrator/store/sweep-store';
import type { Asked, Plan, TrialResult } from '../../../orchestrator/sweep/types';
import { buildPlan, buildResult } from '../support/results';
import { searchPlan } from '../support/search-plan';

/** Of a sweep whose start wrote nothing down, none of this is looked at. */
const ASKED: Asked = { format: 1, name: 'glue', file: null, profile: null, settings: {} };

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'sa-orch-remaining-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Nine trials of 52 steps with 32 rows each. */
const plan = buildPlan();
const [first, second, third] = [plan.trials[0]!, plan.trials[1]!, plan.trials[2]!];
const SPEED = { steps: 52, rows_per_s: 8, wall_s: 20, cohort: 4 };
const PER_TRIAL = 52;
const end = (of: Plan, trial = first, change: Partial<TrialResult> = {}) => {
  const provenance = { sa_orch: '0.4.0', backbone_digest: of.backbone.digest };
  return writeResult(
    root,
    of.sweep_id,
    buildResult(of, trial, { accuracy: 0.5, f1: 0.5 }, { train: SPEED, provenance, ...change }),
  );
};

describe('what is left of a sweep', () => {
  test('is all of it in a root that does not exist, which is not made', async () => {
    rmSync(root, { recursive: true });
    expect(await countRemaining(plan, root)).toEqual({
      ...{ done: 0, failed: 0, stopped: 0, left: 9 },
      seconds: null,
    });
    expect(await compareWithLast(root, plan, ASKED)).toBeNull();
    expect(existsSync(root)).toBe(false);
  });

  test('is estimated from the trials that are done', async () => {
    await end(plan);
    await end(plan, second, { status: 'failed', metrics: {}, error: 'no' });
    await end(plan, third, { status: 'cancelled', metrics: {} });
    expect(await countRemaining(plan, root)).toEqual({
      ...{ done: 1, failed: 1, stopped: 0, left: 7 },
      seconds: 7 * PER_TRIAL,
    });
  });

  test('is estimated from other sweeps of the task with this backbone', async () => {
    const other = buildPlan({ train: { steps: 10 } });
    await end(other, other.trials[0], { provenance: { sa_orch: '0', backbone_digest: 'other' } });
    mkdirSync(join(root, 'trials', 'notes'));
    expect(await countRemaining(plan, root)).toMatchObject({ left: 9, seconds: null });
    await end(other, other.trials[1]);
    expect(await countRemaining(plan, root)).toMatchObject({ left: 9, seconds: 9 * PER_TRIAL });
  });

  test('has a candidate of each choice that a search is still to make', async () => {
    const searched = searchPlan();
    expect(await countRemaining(searched, root)).toEqual({
      ...{ done: 0, failed: 0, stopped: 0, left: 18 + 9, seconds: null },
      search: { left: 18, seconds: null },
    });
    for (const trial of searched.trials.slice(0, 4)) await end(searched, trial);
    const rows = 20 * 32;
    expect(await countRemaining(searched, root)).toEqual({
      ...{ done: 4, failed: 0, stopped: 0, left: 14 + 9, seconds: (23 * rows) / 32 },
      search: { left: 14, seconds: (14 * rows) / 32 },
    });
    expect(describeSize(searched)).toBe(
      '27 trials: 18 of the search for 3 choices, 9 of the comparison',
    );
  });

  test('is nothing once all are done', async () => {
    for (const trial of plan.trials) await end(plan, trial);
    expect(await countRemaining(plan, root)).toEqual({
      done: 9,
      failed: 0,
      stopped: 0,
      left: 0,
      seconds: 0,
    });
  });
});

describe('the last sweep of a name', () => {
  const changed = buildPlan({ train: { steps: 90 } });
  const write = async (one: Plan, seconds: number) => {
    await writePlan(root, one);
    utimesSync(join(root, 'sweeps', one.sweep_id, 'plan.json'), seconds, seconds);
  };

  test('is compared with a changed one', async () => {
    await write(plan, 1000);
    expect(await compareWithLast(root, changed, ASKED)).toEqual({
      sweep_id: plan.sweep_id,
      differences: ['train.steps 52 → 90'],
    });
  });

  test('is the one that was started last, and not compared with itself', async () => {
    await write(plan, 2000);
    await write(changed, 1000);
    expect(await compareWithLast(root, plan, ASKED)).toBeNull();
    expect(await compareWithLast(root, changed, ASKED)).toMatchObject({ sweep_id: plan.sweep_id });
  });

  test('has exactly this name', async () => {
    const named = (name: string) => ({ ...plan, name, sweep_id: `${name}-12345678` });
    await write(named('glue-own'), 1000);
    await write(named('glu'), 2000);
    expect(await compareWithLast(root, changed, ASKED)).toBeNull();
  });

  test('is of no account if it cannot be read', async () => {
    const folder = join(root, 'sweeps', 'glue-12345678');
    mkdirSync(folder, { recursive: true });
    for (const text of ['{"format": 2}', '{"form']) {
      writeFileSync(join(folder, 'plan.json'), text);
      expect(await compareWithLast(root, changed, ASKED)).toBeNull();
    }
  });
});
