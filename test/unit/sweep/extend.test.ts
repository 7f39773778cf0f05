import { planExtended, planExtension } from '../../../orchestrator/config/extended-plan';
import { configFromAsked } from '../../../orchestrator/config/asked';
import { decideSearch } from '../../../orchestrator/sweep/search';
import { planSweep } from '../../../orchestrator/sweep/plan';
import type { Asked, Extension, Plan } from '../../../orchestrator/sweep/types';
import { backbone, dataset } from '../support/plans';
import { buildResult } from '../support/results';

const SNIP = { pruner: 'snip', sparsity: 0.6 };
const asked = (settings: object = {}): Asked => ({
  ...{ format: 1, name: 'grown', file: null, profile: null },
  settings: {
    tasks: ['mrpc'],
    compare: [{ pruner: 'none' }],
    seeds: [1, 2],
    train: { learning_rate: [0.001, 0.01], steps: 20, max_minutes: 9 },
    ...settings,
  },
});
const SEARCH = { search: { over: ['learning_rate'], seeds: [101] } };
const DATASETS = [
  dataset('mrpc', { train: 3300 }),
  { ...dataset('mrpc', { train: 3000 }), digest: 'held', held_out: { fraction: 0.1 } },
];

const planned = (settings?: object): Plan =>
  planSweep(configFromAsked(asked(settings)), {
    ...{ backbone: backbone(), datasets: DATASETS, maxCohort: 4 },
    ...{ defaultPrecision: 'float32', profileReason: null },
  });
const extend = (plan: Plan, extension: Extension, settings?: object): Plan =>
  planExtension(plan, asked(settings), extension, 4);
const idsOf = ({ trials }: Plan) => trials.map(({ id }) => id).sort();

describe('an extended plan', () => {
  test('keeps its id, its trials and their cohorts, and has the new ones behind them', () => {
    const plan = planned();
    const extended = extend(plan, { seeds: [3], compare: [SNIP] });
    expect(extended.sweep_id).toBe(plan.sweep_id);
    expect(extended.trials.slice(0, 4)).toEqual(plan.trials);
    expect(extended.cohorts.slice(0, plan.cohorts.length)).toEqual(plan.cohorts);
    expect(idsOf(extended)).toEqual(
      idsOf(planned({ seeds: [1, 2, 3], compare: [{ pruner: 'none' }, SNIP] })),
    );
    const added = extended.cohorts.slice(plan.cohorts.length);
    expect(added.map(({ trials }) => trials.length)).toEqual([4, 4]);
    expect(added.every(({ max_minutes }) => max_minutes === 9)).toBe(true);
    expect(new Set(extended.cohorts.map(({ id }) => id)).size).toBe(extended.cohorts.length);
  });

  test('has the same trials however it came to them', () => {
    const [seeds, line]: Extension[] = [{ seeds: [3] }, { compare: [SNIP] }];
    const one = extend(extend(planned(), seeds!), line!);
    const other = extend(extend(planned(), line!), seeds!);
    expect(idsOf(one)).toEqual(idsOf(other));
    expect(extend(one, { seeds: [3] }).trials).toEqual(one.trials);
  });

  test('compares what was chosen on further seeds, and chooses for further lines', () => {
    const plan = planned(SEARCH);
    const results = plan.trials.map((trial, i) =>
      buildResult(plan, trial, { accuracy: i / 10, f1: 0.5 }),
    );
    const decided = decideSearch(plan, results)!;
    const extended = extend(decided, { seeds: [3], compare: [SNIP] }, SEARCH);
    const [first, second] = extended.search!.choices;
    expect([first!.chosen, second!.chosen]).toEqual([1, undefined]);
    expect(first!.candidates[1]!.confirm.map(({ seed }) => seed)).toEqual([1, 2, 3]);
    const compared = extended.trials.filter((trial) => trial.dataset === DATASETS[0]!.digest);
    expect(compared.map(({ seed }) => seed)).toEqual([1, 2, 3]);
    expect(compared.every(({ train }) => train.learning_rate === 0.01)).toBe(true);
    expect(second!.candidates.flatMap(({ trials }) => trials)).toHaveLength(2);
  });

  test('has the first rung for new candidates while others are at the next', () => {
    const rungs = { search: { ...SEARCH.search, stop_early: { rungs: [0.25, 0.5], keep: 0.9 } } };
    const plan = planned(rungs);
    const measure = (each: Plan) =>
      new Map(
        each.trials.map((trial) => [
          trial.id,
          buildResult(each, trial, { accuracy: trial.train.learning_rate, f1: 0.5 }),
        ]),
      );
    const later = decideSearch(plan, [], measure(plan))!;
    const extended = extend(later, { compare: [SNIP] }, rungs);
    expect(extended.cohorts.map((cohort) => cohort.until_step)).toEqual([5, 10, 5]);
    const next = decideSearch(extended, [], measure(extended))!;
    expect(next.search!.choices.map(({ went_on }) => went_on?.length)).toEqual([2, 1]);
    expect(next.cohorts.slice(3).map(({ until_step }) => until_step)).toEqual([undefined, 10]);
  });

  test('trains every candidate to its end once the rungs are off, under the same id', () => {
    const rungs = { search: { ...SEARCH.search, stop_early: { rungs: [0.5], keep: 0.5 } } };
    const inputs = {
      ...{ backbone: backbone(), datasets: DATASETS, maxCohort: 4 },
      ...{ defaultPrecision: 'float32' as const, profileReason: null },
    };
    const whole = planExtended(asked(rungs), [{ seeds: [3] }, { rungs: 'off' }], inputs);
    expect(whole.sweep_id).toBe(planned(rungs).sweep_id);
    expect(whole.search).not.toHaveProperty('stop_early');
    expect(whole.cohorts.every(({ until_step }) => until_step === undefined)).toBe(true);
    expect(whole.extended).toEqual([{ rungs: 'off' }, { seeds: [3] }]);
  });

  test('is refused where what was asked for gives other trials', () => {
    expect(() => extend(planned(), { seeds: [3] }, { rows: 5, train: { steps: 7 } })).toThrow(
      'plans other trials from what was asked for',
    );
  });
});
