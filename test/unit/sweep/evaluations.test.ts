/** Where trials are evaluated on the way, and how the best evaluation is taken. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCurves } from '../../../orchestrator/diagnostics/curves';
import { takeBest, writeRungResult } from '../../../orchestrator/store/rung-results';
import { readResults } from '../../../orchestrator/store/sweep-results';
import { writeResult } from '../../../orchestrator/store/sweep-store';
import { formCohorts, listCohortRefs } from '../../../orchestrator/sweep/cohorts';
import { evaluationsOf } from '../../../orchestrator/sweep/evaluations';
import type { Plan, TrialResult } from '../../../orchestrator/sweep/types';
import { plannedTrial, tinyPlan } from '../support/tiny-plan';

const plan = tinyPlan();
const [dataset] = plan.datasets;
const rows = dataset!.splits.find(({ name }) => name === 'train')!.rows;
const base = plannedTrial('t').train;
const withSteps = (total_steps: number, batch_size = base.batch_size) =>
  plannedTrial(`t${total_steps}-${batch_size}`, { train: { ...base, total_steps, batch_size } });
const at = (every: 'epoch' | number): Pick<Plan, 'evaluate' | 'datasets'> => ({
  datasets: plan.datasets,
  evaluate: { every, report: 'last' },
});

describe('the steps of evaluations', () => {
  test.each([
    [0.25, 40, [10, 20, 30]],
    [0.4, 10, [4, 8]],
    [0.1, 10, [1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [0.25, 2, [1]],
    [0.5, 1, []],
    [0.99, 100, [99]],
  ])('every %d of %d steps: %j', (every, total, steps) => {
    expect(evaluationsOf(at(every))(withSteps(total))).toEqual(steps);
  });

  test('are the ends of epochs but for the last, and go by the batch size', () => {
    const epoch = Math.ceil(rows / 32);
    expect(evaluationsOf(at('epoch'))(withSteps(3 * epoch, 32))).toEqual([epoch, 2 * epoch]);
    expect(evaluationsOf(at('epoch'))(withSteps(2 * epoch + 1, 32))).toEqual([epoch, 2 * epoch]);
    const half = Math.ceil(rows / 64);
    expect(evaluationsOf(at('epoch'))(withSteps(2 * half, 64))).toEqual([half]);
  });

  test('are none without the key, and none of held-out rows', () => {
    expect(evaluationsOf({ datasets: plan.datasets })(withSteps(40))).toEqual([]);
    const heldOut = { ...dataset!, held_out: { fraction: 0.1 } };
    expect(evaluationsOf({ ...at(0.5), datasets: [heldOut] })(withSteps(40))).toEqual([]);
  });

  test('are not so many that each step is one', () => {
    expect(() => evaluationsOf(at('epoch'))(withSteps(102 * Math.ceil(rows / 32), 32))).toThrow(
      'mrpc would be evaluated more than 100 times before its last step',
    );
  });

  test('are shared by the trials of a cohort', () => {
    const trials = [withSteps(40), withSteps(20), { ...withSteps(40), id: 'same' }];
    const cohorts = formCohorts(trials, 10, 0, 10, evaluationsOf(at(0.5)));
    expect(cohorts.map((each) => [each.trials, each.evaluate_at])).toEqual([
      [['t40-32', 'same'], [20]],
      [['t20-32'], [10]],
    ]);
    expect(listCohortRefs({ cohorts })[1]).toMatchObject({ id: 'c02-mrpc', isEvaluated: true });
    const plain = formCohorts(trials, 10);
    expect(plain).toHaveLength(1);
    expect(listCohortRefs({ cohorts: plain })).toEqual([
      { id: 'c01-mrpc', dataset: 'mrpc-digest' },
    ]);
  });
});

describe('what is reported of them', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'sa-orch-evaluations-'))));
  afterEach(() => rmSync(root, { recursive: true }));

  const [trial] = plan.trials;
  const [deciding] = dataset!.metrics as [string];
  const result = (value: number, step?: number): TrialResult =>
    ({
      ...{ trial_id: trial!.id, status: step === undefined ? 'done' : 'stopped', warnings: [] },
      ...{ metrics: { [deciding]: value, loss_of: value / 2 }, train: { steps: 100 } },
      ...(step === undefined ? {} : { stopped_at: { step, total_steps: 100 } }),
      ...{ provenance: {}, budget: { kept: 10 } },
    }) as unknown as TrialResult;
  const evaluated: Plan = { ...plan, evaluate: { every: 0.25, report: 'best' } };

  async function write(values: Record<number, number>, last: number): Promise<TrialResult> {
    for (const [step, value] of Object.entries(values)) {
      const early = result(value, Number(step));
      await writeRungResult(root, { ...early, stopped_at: early.stopped_at! });
    }
    await writeResult(root, plan.sweep_id, result(last));
    return result(last);
  }

  test.each([
    ['an early one', { 25: 0.5, 50: 0.9, 75: 0.7 }, 0.8, 50],
    ['the last', { 25: 0.5, 50: 0.6, 75: 0.7 }, 0.8, 100],
    ['of equal ones the earliest', { 25: 0.8, 50: 0.6, 75: 0.8 }, 0.8, 25],
    ['the only one', {}, 0.8, 100],
    ['where one is not there', { 50: 0.9 }, 0.8, 50],
  ])('the best is %s', async (_, values: Record<number, number>, last, step) => {
    const best = await takeBest(root, evaluated, trial!, await write(values, last));
    const value = values[step] ?? last;
    expect(best).toMatchObject({
      ...{ status: 'done', best_step: step, best_of: Object.keys(values).length + 1 },
      metrics: { [deciding]: value },
    });
  });

  const read = async (report: 'last' | 'best') => {
    const [found] = await readResults(root, { ...plan, evaluate: { every: 0.25, report } });
    return [found!.metrics[deciding], found!.best_step];
  };

  test('results are the last ones unless the best are asked for', async () => {
    await write({ 25: 0.9, 50: 0.7, 75: 0.7 }, 0.8);
    expect(await read('last')).toEqual([0.8, undefined]);
    expect(await read('best')).toEqual([0.9, 25]);
  });

  test('where a trial lacks some, all of its data set have the last', async () => {
    await write({ 25: 0.9, 75: 0.7 }, 0.8);
    expect(await read('best')).toEqual([0.8, undefined]);
  });

  test('the best has as many weights as the last, whatever a denser one came to', async () => {
    const last = await write({ 50: 0.7, 75: 0.85 }, 0.8);
    const dense = result(0.9, 25);
    dense.budget = { ...dense.budget, kept: 50 };
    await writeRungResult(root, { ...dense, stopped_at: dense.stopped_at! });
    expect(await takeBest(root, evaluated, trial!, last)).toMatchObject({
      ...{ best_step: 75, best_of: 4 },
    });
  });

  test('curves have all of them, and the last', async () => {
    await write({ 50: 0.6, 25: 0.5 }, 0.8);
    expect(await readCurves(root, trial!.id, [deciding])).toEqual({
      [deciding]: { steps: [25, 50, 100], values: [0.5, 0.6, 0.8] },
    });
  });
});
