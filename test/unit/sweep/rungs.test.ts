/** A search that stops early: which candidates go on after a rung, and who trains until where. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../../orchestrator/base/seeded-random';
import { readDecided } from '../../../orchestrator/store/decided-plan';
import {
  readCohortResult,
  writeRungResult,
  writeStopped,
} from '../../../orchestrator/store/rung-results';
import { readResults } from '../../../orchestrator/store/sweep-results';
import { writeResult } from '../../../orchestrator/store/sweep-store';
import { countKept, expectTrained, findRungStep } from '../../../orchestrator/sweep/rungs';
import { countTrials, decideSearch, isSearching } from '../../../orchestrator/sweep/search';
import type { Cohort, Plan, Trial, TrialResult } from '../../../orchestrator/sweep/types';
import { buildResult } from '../support/results';
import { searchPlan } from '../support/search-plan';

const RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2];
const STOP_EARLY = { rungs: [0.25, 0.5], keep: 0.4 };

/** Accuracy by rate at a quarter, at half and at the end of training. */
const CURVES: Record<string, readonly (readonly number[])[]> = {
  // The best at the end is the last at the first rung.
  'none 0': [
    [0.5, 0.6, 0.95],
    [0.6, 0.7, 0.8],
    [0.8, 0.85, 0.9],
    [0.82, 0.81, 0.85],
    [0.7, 0.75, 0.8],
  ],
  // Nothing is learned by the first rung.
  'snip 0.4': [
    [0.5, 0.5, 0.6],
    [0.5, 0.55, 0.7],
    [0.5, 0.6, 0.8],
    [0.5, 0.7, 0.75],
    [0.5, 0.5, 0.5],
  ],
  'snip 0.8': [
    [0.9, 0.9, 0.9],
    [0.8, 0.9, 0.95],
    [0.7, 0.8, 0.8],
    [0.6, 0.8, 0.8],
    [0.5, 0.8, 0.8],
  ],
};

const plan = searchPlan([1, 2, 3], STOP_EARLY, RATES);

function measure(trial: Trial, point: number, change: Partial<TrialResult> = {}): TrialResult {
  const curve = CURVES[`${trial.prune.pruner} ${trial.prune.sparsity}`]!;
  const at = curve[RATES.indexOf(trial.train.learning_rate)]![point]!;
  const accuracy = at + (trial.seed === 102 ? 0.01 : 0);
  return buildResult(plan, trial, { accuracy, f1: 0.5 }, change);
}

const trialsOf = ({ trials }: Plan, cohort: Cohort): Trial[] =>
  trials.filter(({ id }) => cohort.trials.includes(id));

/** What a cohort's trials come to, by id. */
function run(now: Plan, cohort: Cohort): Map<string, TrialResult> {
  const { until_step: step } = cohort;
  return new Map(
    trialsOf(now, cohort).map((trial) => [
      trial.id,
      step === undefined
        ? measure(trial, 2)
        : measure(trial, step === 5 ? 0 : 1, {
            status: 'stopped',
            stopped_at: { step, total_steps: 20 },
          }),
    ]),
  );
}

/** The cohorts that a decision adds, as the rates that they train until which step. */
const listNew = (before: Plan, after: Plan) =>
  after.cohorts.slice(before.cohorts.length).map((cohort) => ({
    until: cohort.until_step,
    rates: [...new Set(trialsOf(after, cohort).map(({ train }) => train.learning_rate))].sort(
      (a, b) => a - b,
    ),
    trials: cohort.trials.length,
  }));
const wentOn = (now: Plan) => now.search!.choices.map(({ went_on: decided }) => decided);
const chosenIn = (now: Plan) => now.search!.choices.map(({ chosen }) => chosen);

describe('a search with rungs', () => {
  test('begins with every candidate until the first rung', () => {
    expect(plan.cohorts.map(({ until_step: step }) => step)).toEqual([5, 5]);
    expect(plan.cohorts.flatMap(({ trials }) => trials)).toHaveLength(30);
    expect(plan.search).toMatchObject({ stop_early: STOP_EARLY });
  });

  const first = decideSearch(plan, [], all(plan))!;

  test('takes on the best two fifths, and all that equal the last of these', () => {
    expect(wentOn(first)).toEqual([[[2, 3]], [[0, 1, 2, 3, 4]], [[0, 1]]]);
    expect(chosenIn(first)).toEqual([undefined, undefined, undefined]);
    expect(listNew(plan, first)).toMatchObject([{ until: 10, trials: 18 }]);
    expect(isSearching(first)).toBe(true);
    expect(first.trials).toEqual(plan.trials);
  });

  const second = decideSearch(first, [], all(first))!;

  test('makes a choice when one candidate is left, and compares it at once', () => {
    expect(wentOn(second)).toEqual([
      [[2, 3], [2]],
      [
        [0, 1, 2, 3, 4],
        [2, 3],
      ],
      [
        [0, 1],
        [0, 1],
      ],
    ]);
    expect(chosenIn(second)).toEqual([2, undefined, undefined]);
    expect(listNew(first, second)).toEqual([
      { until: undefined, rates: [1e-4, 3e-4, 1e-3, 3e-3], trials: 8 },
      { until: undefined, rates: [1e-3], trials: 3 },
    ]);
    expect(countTrials(second)).toBe(30 + 9);
  });

  test('decides what is left at the end of training', () => {
    const results = [...all(second).values()];
    const third = decideSearch(second, results)!;
    expect(chosenIn(third)).toEqual([2, 2, 1]);
    expect(isSearching(third)).toBe(false);
    expect(countTrials(third)).toBe(30 + 9);
  });

  test('is the same whatever order the measurements arrive in', () => {
    const measured = [...all(plan)];
    const random = seededRandom(11);
    for (let i = 0; i < 50; i++) {
      const shuffled = measured
        .map((each) => ({ each, at: random() }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ each }) => each);
      expect(decideSearch(plan, [], new Map(shuffled))).toEqual(first);
    }
  });

  test('waits for every trial at its rung', () => {
    for (const id of all(plan).keys()) {
      const measured = all(plan);
      measured.delete(id);
      expect(decideSearch(plan, [], measured)).toBeNull();
      const cut = { ...all(plan).get(id)!, status: 'cancelled' as const };
      expect(decideSearch(plan, [cut], measured)).toBeNull();
    }
  });

  test('passes over a candidate with a trial that failed', () => {
    const measured = all(plan);
    const failed = plan.search!.choices[0]!.candidates[2]!.trials[0]!;
    const result: TrialResult = { ...measured.get(failed)!, status: 'failed', metrics: {} };
    measured.delete(failed);
    expect(wentOn(decideSearch(plan, [result], measured)!)[0]).toEqual([[3, 4]]);
    const dense = plan.search!.choices[0]!.candidates.flatMap(({ trials }) => trials);
    const all_failed = dense.map((id) => ({ ...result, trial_id: id }));
    const others = new Map([...all(plan)].filter(([id]) => !dense.includes(id)));
    expect(chosenIn(decideSearch(plan, all_failed, others)!)[0]).toBeNull();
  });

  test('takes on all that is left if more have failed than are to be stopped', () => {
    const measured = all(plan);
    const dense = plan.search!.choices[0]!.candidates;
    const broken = dense.slice(1).map(({ trials: [id] }) => id!);
    const failed = broken.map((id): TrialResult => {
      const result = measured.get(id)!;
      measured.delete(id);
      return { ...result, status: 'failed', metrics: {} };
    });
    const next = decideSearch(plan, failed, measured)!;
    expect(wentOn(next)[0]).toEqual([[0]]);
    expect(chosenIn(next)[0]).toBe(0);
  });

  test('does not decide by some of the seeds at their end', () => {
    const measured = all(plan);
    const { candidates } = plan.search!.choices[0]!;
    // The first seed of each was trained by another sweep.
    const results = candidates.map(({ trials: [id] }) => {
      measured.delete(id!);
      return measure(
        plan.trials.find((trial) => trial.id === id)!,
        2,
      );
    });
    const next = decideSearch(plan, results, measured)!;
    expect(wentOn(next)[0]).toEqual([[0, 1, 2, 3, 4]]);
    expect(chosenIn(next)[0]).toBeUndefined();
  });

  test('takes on what was trained to its end before, which has nothing to compare', () => {
    const measured = all(plan);
    const { candidates } = plan.search!.choices[0]!;
    const results = candidates[0]!.trials.map((id) => {
      measured.delete(id);
      return measure(
        plan.trials.find((trial) => trial.id === id)!,
        2,
      );
    });
    expect(wentOn(decideSearch(plan, results, measured)!)[0]).toEqual([[0, 3]]);
    // All of them: nothing is left to stop.
    const done = plan.trials.map((trial) => measure(trial, 2));
    expect(chosenIn(decideSearch(plan, done)!)).toEqual([0, 2, 1]);
  });

  test('decides as far as the files make it, and gives what it stopped an outcome', async () => {
    const root = mkdtempSync(join(tmpdir(), 'sa-orch-rungs-'));
    try {
      const write = async (now: Plan) => {
        for (const result of all(now).values())
          if (result.stopped_at)
            await writeRungResult(root, { ...result, stopped_at: result.stopped_at });
          else await writeResult(root, now.sweep_id, result);
      };
      expect(await readDecided(root, plan)).toBe(plan);
      await write(plan);
      const once = await readDecided(root, plan);
      expect(once).toMatchObject({ search: first.search, follows: [expect.any(String)] });
      await write(once);
      // Whoever begins again at the plan's beginning comes to the same, to the byte.
      const twice = await readDecided(root, plan);
      expect(await readDecided(root, once)).toEqual(twice);
      expect(twice.follows).toHaveLength(2);
      await writeStopped(root, twice);
      await writeStopped(root, twice);
      const stopped = await readResults(root, twice);
      expect(stopped.every(({ status }) => status === 'stopped')).toBe(true);
      const steps = stopped.map(({ stopped_at: at }) => at!.step);
      // Dense: 3 candidates at a quarter, the last two at half, of which one is chosen; snip 40 %:
      // 3 at half; snip 80 %: 3 at a quarter.
      expect(steps.filter((step) => step === 5)).toHaveLength(2 * 6);
      expect(steps.filter((step) => step === 10)).toHaveLength(2 * 5);
      const [early, late] = [twice.cohorts[0]!, twice.cohorts.at(-2)!];
      const behind = stopped[0]!.trial_id;
      expect(await readCohortResult(root, plan.sweep_id, early, behind)).not.toBeNull();
      // It has not come to the end that a cohort without a rung would take it to.
      expect(await readCohortResult(root, plan.sweep_id, late, behind)).toBeNull();
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

test('a rung is a step before the last', () => {
  const at = (total_steps: number, fraction: number) =>
    findRungStep({ train: { total_steps } }, fraction);
  expect([at(100, 0.25), at(101, 0.25), at(3, 0.9), at(1, 0.5)]).toEqual([25, 26, 2, 0]);
});

test('how many go on is rounded up, but not for the last digit of a product', () => {
  expect(countKept({ rungs: [], keep: 0.1 }, 30)).toBe(3);
  expect(countKept({ rungs: [], keep: 0.34 }, 5)).toBe(2);
  expect(countKept({ rungs: [], keep: 0.34 }, 1)).toBe(1);
});

test('the training to expect counts what each rung leaves', () => {
  // 5 until a quarter, 2 until half, of which one is left and chosen.
  const expectOf = (total_steps: number, rungs: number[], keep: number, candidates: number) =>
    expectTrained({ rungs, keep }, candidates, { train: { total_steps } as Trial['train'] });
  expect(expectOf(20, [0.25, 0.5], 0.34, 5)).toBeCloseTo(0.25 + 0.4 * 0.25);
  expect(expectOf(20, [0.5], 0.5, 4)).toBeCloseTo(0.5 + 0.5 * 0.5);
  // Until step 1 and step 3 of 6.
  expect(expectOf(6, [1e-4, 0.5], 0.5, 4)).toBeCloseTo(1 / 6 + 0.5 * (2 / 6));
});

function all(now: Plan): Map<string, TrialResult> {
  const latest = now.cohorts.at(-1)!.until_step;
  const isNew = ({ until_step: step }: Cohort) => step === latest;
  return new Map(now.cohorts.filter(isNew).flatMap((cohort) => [...run(now, cohort)]));
}
