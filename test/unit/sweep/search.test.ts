import { seededRandom } from '../../../orchestrator/base/seeded-random';
import { countTrials, decideSearch, isSearching } from '../../../orchestrator/sweep/search';
import type { Plan, Trial, TrialResult } from '../../../orchestrator/sweep/types';
import { buildResult } from '../support/results';
import { RATES, searchPlan } from '../support/search-plan';

/** Accuracy by variant and rate; of the seed 102 a little more. */
const ACCURACY: Record<string, readonly number[]> = {
  'none 0': [0.8, 0.83, 0.7],
  'snip 0.4': [0.78, 0.81, 0.81],
  'snip 0.8': [0.7, 0.75, 0.79],
};

function finish(plan: Plan, trial: Trial): TrialResult {
  const { pruner, sparsity } = trial.prune;
  const rate = RATES.indexOf(trial.train.learning_rate as (typeof RATES)[number]);
  const accuracy = ACCURACY[`${pruner} ${sparsity}`]![rate]! + (trial.seed === 102 ? 0.01 : 0);
  return buildResult(plan, trial, { accuracy, f1: 1 - accuracy });
}

const finishAll = (plan: Plan): TrialResult[] => plan.trials.map((trial) => finish(plan, trial));
const chosenIn = (plan: Plan | null) => plan!.search!.choices.map(({ chosen }) => chosen);

describe('decideSearch', () => {
  const plan = searchPlan();

  test('takes of each variant the value with the best mean of the deciding metric', () => {
    const decided = decideSearch(plan, finishAll(plan))!;
    // Of equal means, the first.
    expect(chosenIn(decided)).toEqual([1, 1, 2]);
    expect(isSearching(plan)).toBe(true);
    expect(isSearching(decided)).toBe(false);
  });

  test('adds the chosen trials behind the others, in cohorts of their own', () => {
    const decided = decideSearch(plan, finishAll(plan))!;
    const added = decided.trials.slice(plan.trials.length);
    expect(decided.trials.slice(0, plan.trials.length)).toEqual(plan.trials);
    expect(added.map(({ seed, train }) => [seed, train.learning_rate])).toEqual([
      ...[1, 2, 3, 1, 2, 3].map((seed) => [seed, 0.001]),
      ...[1, 2, 3].map((seed) => [seed, 0.003]),
    ]);
    expect(decided.cohorts.map(({ id }) => id)).toEqual(['c01-mrpc', 'c02-mrpc']);
    const cohorts = decided.cohorts.slice(1);
    expect(cohorts.flatMap(({ trials }) => trials).toSorted()).toEqual(
      added.map(({ id }) => id).toSorted(),
    );
    expect(cohorts).toMatchObject([{ max_minutes: 9, dataset: 'mrpc-digest' }]);
    expect(decided.sweep_id).toBe(plan.sweep_id);
  });

  test('is the same whatever order the results arrive in', () => {
    const results = finishAll(plan);
    const random = seededRandom(7);
    const decided = decideSearch(plan, results);
    for (let i = 0; i < 50; i++) {
      const shuffled = results
        .map((each) => ({ each, at: random() }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ each }) => each);
      expect(decideSearch(plan, shuffled)).toEqual(decided);
    }
  });

  test('waits for every trial of the search', () => {
    for (let i = 0; i < plan.trials.length; i++)
      expect(decideSearch(plan, finishAll(plan).toSpliced(i, 1))).toBeNull();
  });

  test('passes over a value with a trial that failed, and compares nothing if all did', () => {
    const results = finishAll(plan).map((each, i): TrialResult => {
      const { train, prune } = plan.trials[i]!;
      const diverged = train.learning_rate === 0.001 && each.seed === 102;
      const isBroken = prune.sparsity === 0.8;
      return diverged || isBroken
        ? { ...each, status: 'failed', metrics: {}, error: 'non_finite: the loss is NaN' }
        : each;
    });
    const decided = decideSearch(plan, results)!;
    expect(chosenIn(decided)).toEqual([0, 2, null]);
    expect(decided.trials).toHaveLength(plan.trials.length + 2 * 3);
  });

  test('waits for a trial that was cancelled, which says nothing of its value', () => {
    const [first, ...others] = finishAll(plan);
    const cut: TrialResult = { ...first!, status: 'cancelled', metrics: {} };
    expect(decideSearch(plan, [cut, ...others])).toBeNull();
  });

  test('does not change a decided plan, nor one without a search', () => {
    const decided = decideSearch(plan, finishAll(plan))!;
    expect(decideSearch(decided, [])).toBe(decided);
    const plain = { ...plan };
    delete plain.search;
    expect(decideSearch(plain, [])).toBe(plain);
  });
});

test('an undecided search counts the trials that it will add', () => {
  const plan = searchPlan();
  expect(countTrials(plan)).toBe(plan.trials.length + 3 * 3);
  expect(countTrials(decideSearch(plan, finishAll(plan))!)).toBe(plan.trials.length + 3 * 3);
});
