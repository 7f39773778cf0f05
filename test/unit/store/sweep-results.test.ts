/** A sweep's results, read again and again while they come. */
import { mkdtempSync, rmSync } from 'node:fs';
import * as files from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SweepResults } from '../../../orchestrator/store/sweep-results';
import { removeOutcome, writeProgress, writeResult } from '../../../orchestrator/store/sweep-store';
import type { Plan, TrialResult } from '../../../orchestrator/sweep/types';
import { plannedTrial, tinyPlan } from '../support/tiny-plan';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sa-orch-sweep-results-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Cohorts of 100 trials. */
function planCohorts(count: number): Plan {
  const trials = Array.from({ length: 100 * count }, (_, i) => plannedTrial(`t${i}`, { seed: i }));
  const cohorts = Array.from({ length: count }, (_, i) => ({
    id: `c${i}`,
    dataset: 'mrpc-digest',
    trials: trials.slice(100 * i, 100 * (i + 1)).map(({ id }) => id),
  }));
  return { ...tinyPlan(trials), cohorts };
}

const write = (plan: Plan, trial: string, status: TrialResult['status']) =>
  writeResult(root, plan.sweep_id, { trial_id: trial, status } as TrialResult);

const end = (plan: Plan, cohort: string) =>
  writeProgress(root, plan.sweep_id, {
    ...{ cohort, work: 'evaluate', state: 'succeeded', done: 1, total: 1 },
    ...{ rows_per_s: 0, losses: {}, note: null, updated: Date.now() },
  });

async function statuses(sweep: SweepResults, plan: Plan) {
  await sweep.refresh(plan);
  return Object.fromEntries([...sweep.results].map(([id, { status }]) => [id, status]));
}

test('come when their cohort’s progress changes, and stay', async () => {
  const plan = planCohorts(3);
  const sweep = new SweepResults(root);
  await write(plan, 't0', 'done');
  expect(await statuses(sweep, plan)).toEqual({ t0: 'done' });
  await write(plan, 't150', 'done');
  await end(plan, 'c1');
  expect(await statuses(sweep, plan)).toEqual({ t0: 'done', t150: 'done' });
  expect([...sweep.progress.keys()]).toEqual(['c1']);
});

test('that failed or were cancelled come and go as they are written and removed', async () => {
  const plan = planCohorts(3);
  const sweep = new SweepResults(root);
  await write(plan, 't7', 'cancelled');
  await write(plan, 't8', 'failed');
  expect(await statuses(sweep, plan)).toEqual({ t7: 'cancelled', t8: 'failed' });
  await write(plan, 't7', 'failed');
  await removeOutcome(root, plan.sweep_id, 't8');
  expect(await statuses(sweep, plan)).toEqual({ t7: 'failed' });
  await write(plan, 't7', 'done');
  await end(plan, 'c0');
  expect(await statuses(sweep, plan)).toEqual({ t7: 'done' });
});

test('are all looked for once few are missing, whoever made them', async () => {
  const plan = planCohorts(2);
  const sweep = new SweepResults(root);
  for (const { id } of plan.trials.slice(0, 110)) await write(plan, id, 'done');
  expect(Object.keys(await statuses(sweep, plan))).toHaveLength(110);
  // As another sweep does, which knows nothing of this one's cohorts.
  await write(plan, 't199', 'done');
  expect(await statuses(sweep, plan)).toMatchObject({ t199: 'done' });
});

test('that cannot be read are an error, after which everything is read again', async () => {
  const plan = planCohorts(2);
  const sweep = new SweepResults(root);
  const path = join(root, 'trials', 't3', 'result.json');
  await files.mkdir(path, { recursive: true });
  await expect(sweep.refresh(plan)).rejects.toThrow('EISDIR');
  await files.rmdir(path);
  await write(plan, 't3', 'done');
  expect(await statuses(sweep, plan)).toEqual({ t3: 'done' });
});

test('cost nothing while nothing changes', async () => {
  const plan = planCohorts(3);
  const sweep = new SweepResults(root);
  await write(plan, 't0', 'done');
  await write(plan, 't1', 'failed');
  await end(plan, 'c0');
  await sleep(1100); // a change a moment ago may be followed by another one with the same time
  await sweep.refresh(plan);
  const read = jest.spyOn(files, 'readFile');
  await sweep.refresh(plan);
  expect(read).not.toHaveBeenCalled();
});

test('hold what most trials have in common once', async () => {
  const plan = planCohorts(1);
  for (const { id } of plan.trials.slice(0, 3)) {
    const warnings = id === 't2' ? ['layers_emptied: ffn.up'] : ['undefined_metric: matthews'];
    const provenance = { sa_orch: '0.1.0', backbone_digest: 'b', trained_by: [{ device: 'cpu' }] };
    const result = { trial_id: id, status: 'done', warnings, provenance };
    await writeResult(root, plan.sweep_id, result as unknown as TrialResult);
  }
  const sweep = new SweepResults(root);
  await sweep.refresh(plan);
  const [t0, t1, t2] = [...sweep.results.values()];
  expect(t0!.trial_id).toBe('t0');
  expect(t1!.trial_id).toBe('t1');
  expect(t1!.warnings).toBe(t0!.warnings);
  expect(t2!.warnings).toEqual(['layers_emptied: ffn.up']);
  expect(t2!.provenance).toBe(t0!.provenance);
});
