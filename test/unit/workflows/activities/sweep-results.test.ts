/** Whose results a sweep sees: its own failures and cancellations, and what any sweep finished. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { writePlan } from '../../../../orchestrator/store/plan-store';
import { readResults } from '../../../../orchestrator/store/sweep-results';
import { writeResult } from '../../../../orchestrator/store/sweep-store';
import type { Plan, Trial } from '../../../../orchestrator/sweep/types';
import {
  endCohorts,
  evaluateTrials,
  listUnfinishedCohorts,
  pendingTrials,
} from '../../../../workflows/activities/results';
import { buildResult } from '../../support/results';
import { plannedTrial, tinyPlan } from '../../support/tiny-plan';
import { WHO } from '../../tasks/questions/support/questions';
import { questionTrial } from '../../tasks/questions/support/trial';

const root = mkdtempSync(join(tmpdir(), 'sa-orch-sweep-results-'));
afterAll(() => rmSync(root, { recursive: true }));

const setup = { root } as Parameters<typeof evaluateTrials>[0];

describe('two sweeps that share trials', () => {
  const [shared, own] = [plannedTrial('shared-1'), plannedTrial('own-1', { seed: 4 })];

  async function planSweeps(names: string[], trials: Trial[]) {
    const plans = names.map((name) => ({ ...tinyPlan(trials), sweep_id: `${name}-00000000` }));
    return Promise.all(
      plans.map(async (plan) => ({
        plan,
        ref: {
          sweepId: plan.sweep_id,
          cohortId: 'c01-mrpc',
          planDigest: await writePlan(root, plan),
        },
      })),
    );
  }

  test.each(['cancelled', 'non_finite'])(
    'one’s trial that ended as %s is still to run in the other',
    async (reason) => {
      const [a, b] = await planSweeps([`a-${reason}`, `b-${reason}`], [shared, own]);
      const failed = { 'shared-1': { reason, message: 'as it was' } };
      await evaluateTrials(setup, { ...a!.ref, trials: ['shared-1'], failed });
      const status = reason === 'cancelled' ? 'cancelled' : 'failed';
      expect(await readResults(root, a!.plan)).toMatchObject([{ trial_id: 'shared-1', status }]);
      expect(await pendingTrials(setup, { ...a!.ref, cohortId: 'c01-mrpc' })).toEqual(['own-1']);
      expect(await readResults(root, b!.plan)).toEqual([]);
      expect(await pendingTrials(setup, { ...b!.ref, cohortId: 'c01-mrpc' })).toEqual([
        'shared-1',
        'own-1',
      ]);
    },
  );

  test('one’s finished trial is finished in the other, whatever became of it there', async () => {
    const { root: place, plan, trial, predict } = await questionTrial(root, 'squad', [WHO]);
    predict([{ span: [0, 1] }]);
    const other = { ...plan, sweep_id: 'other-00000000' };
    const [ref, otherRef] = await Promise.all(
      [plan, other].map(async (each) => ({
        ...{
          sweepId: each.sweep_id,
          cohortId: each.cohorts[0]!.id,
          planDigest: await writePlan(place, each),
        },
        trials: [trial.id],
      })),
    );
    const failed = { [trial.id]: { reason: 'cancelled', message: 'by somebody' } };
    await evaluateTrials({ ...setup, root: place }, { ...ref!, failed });
    await evaluateTrials({ ...setup, root: place }, { ...otherRef!, failed: {} });
    expect(await readResults(place, plan)).toMatchObject([{ status: 'done' }]);
    expect(await evaluateTrials({ ...setup, root: place }, { ...ref!, failed })).toEqual({
      done: 1,
      failed: 0,
      cancelled: 0,
    });
  });
});

describe('a sweep of many cohorts', () => {
  const trials = [1, 2, 3, 4, 5].map((seed) => plannedTrial(`many-${seed}`, { seed }));
  const ids = trials.map(({ id }) => id);
  const plan: Plan = {
    ...tinyPlan(trials),
    sweep_id: 'many-00000000',
    cohorts: [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)].map((cohort, i) => ({
      id: `c0${i + 1}-mrpc`,
      dataset: 'mrpc-digest',
      trials: cohort,
    })),
  };
  const cancelled = { reason: 'cancelled', message: 'by somebody' };

  test('has unfinished ones, in which some trial has no result; they end as told', async () => {
    const ref = {
      sweepId: plan.sweep_id,
      cohortId: 'c01-mrpc',
      planDigest: await writePlan(root, plan),
    };
    const failed = { 'many-2': { reason: 'non_finite', message: 'loss is NaN' } };
    for (const i of [0, 2])
      await writeResult(root, plan.sweep_id, buildResult(plan, trials[i]!, { accuracy: 0.8 }));
    await evaluateTrials(setup, { ...ref, trials: ['many-2'], failed });
    const worker = new MockActivityEnvironment();
    const list = () =>
      worker.run<[], string[], () => Promise<string[]>>(() => listUnfinishedCohorts(setup, ref));
    const cohorts = await list();
    expect(cohorts).toEqual(['c02-mrpc', 'c03-mrpc']);
    const end = () => worker.run(() => endCohorts(setup, { ...ref, cohorts, failed: cancelled }));
    expect(await end()).toEqual({ done: 0, failed: 0, cancelled: 2 });
    // An attempt whose answer was lost is repeated.
    expect(await end()).toEqual({ done: 0, failed: 0, cancelled: 2 });
    expect((await readResults(root, plan)).map(({ status }) => status)).toEqual([
      ...['done', 'failed', 'done', 'cancelled', 'cancelled'],
    ]);
    expect(await list()).toEqual([]);
  });
});
