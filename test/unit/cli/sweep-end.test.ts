/** How an ended sweep is named, and a plan that came too late. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refuseExtendedMeanwhile } from '../../../orchestrator/cli/submit';
import { nameEnd } from '../../../orchestrator/cli/sweep-end';
import { writePlan } from '../../../orchestrator/store/plan-store';
import type { Plan, TrialResult } from '../../../orchestrator/sweep/types';
import { plannedTrial, tinyPlan } from '../support/tiny-plan';

const plan = tinyPlan([plannedTrial('t1'), plannedTrial('t2')]);
const ended = (...statuses: TrialResult['status'][]) =>
  statuses.map((status, index) => ({ trial_id: `t${index + 1}`, status }) as TrialResult);

test.each([
  ['finished', ended('done', 'done'), 'complete'],
  // One trial of it was cancelled, and it went on without.
  ['finished', ended('done', 'cancelled'), 'complete'],
  ['cancelled', ended('done', 'cancelled'), 'cancelled'],
  ['unknown', ended('done', 'cancelled'), 'cancelled'],
  ['stopped', ended('failed'), 'stopped'],
  ['unknown', ended('done'), 'not running'],
  // Another sweep has run the rest.
  ['cancelled', ended('done', 'done'), 'complete'],
] as const)('%s, by its results %j: %s', (state, results, end) => {
  expect(nameEnd(state, plan, results)).toBe(end);
});

test('a plan does not replace one that another command has extended meanwhile', async () => {
  const root = mkdtempSync(join(tmpdir(), 'sa-orch-extended-'));
  const extend = (...seeds: number[]): Plan => ({
    ...plan,
    extended: seeds.map((seed) => ({ seeds: [seed] })),
  });
  await refuseExtendedMeanwhile(root, plan);
  await writePlan(root, extend(6));
  await refuseExtendedMeanwhile(root, extend(6, 7));
  for (const late of [plan, extend(7)])
    await expect(refuseExtendedMeanwhile(root, late)).rejects.toThrow(
      `${plan.sweep_id} was extended by another command meanwhile`,
    );
  rmSync(root, { recursive: true });
});
