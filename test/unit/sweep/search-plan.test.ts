/** Axes of training in a plan, and what a search tries before anything is compared. */
import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { planSweep } from '../../../orchestrator/sweep/plan';
import type { Plan, PlannedDataset, Trial } from '../../../orchestrator/sweep/types';
import { backbone, dataset } from '../support/plans';

const RATES = [3e-4, 1e-3];
const SETTINGS = {
  tasks: ['mrpc'],
  compare: [{ pruner: 'none' }, { pruner: 'snip', sparsity: [0.4, 0.8] }],
  seeds: [1, 2],
  train: { epochs: 2, learning_rate: RATES },
};
const SEARCH = { over: ['learning_rate'] };

function heldOut(task: string): PlannedDataset {
  const rows = dataset(task, { train: 360, validation: 40, of: 400 });
  return { ...rows, digest: `${task}-held-out`, held_out: { fraction: 0.1 } };
}

function plan(settings: Record<string, unknown> = {}): Plan {
  const config = sweepConfigFrom('mine', { ...SETTINGS, ...settings });
  const names = config.tasks.map(({ name }) => name);
  const datasets = [
    ...names.map((name) => dataset(name)),
    ...(config.search === null ? [] : names.map(heldOut)),
  ];
  const standard = { defaultPrecision: 'float32', profileReason: null } as const;
  return planSweep(config, { backbone: backbone(), datasets, maxCohort: 8, ...standard });
}

const say = ({ task, dataset: digest, prune, train, seed }: Trial) =>
  [task, digest, prune.pruner, prune.sparsity, train.learning_rate, seed].join(' ');

describe('axes without a search', () => {
  test('each combination is a row of its own; training values come before the seed', () => {
    const { trials, search } = plan();
    expect(search).toBeUndefined();
    expect(trials.map(say)).toEqual([
      'mrpc mrpc-digest none 0 0.0003 1',
      'mrpc mrpc-digest none 0 0.0003 2',
      'mrpc mrpc-digest none 0 0.001 1',
      'mrpc mrpc-digest none 0 0.001 2',
      ...[0.4, 0.8].flatMap((sparsity) =>
        RATES.flatMap((rate) =>
          [1, 2].map((seed) => `mrpc mrpc-digest snip ${sparsity} ${rate} ${seed}`),
        ),
      ),
    ]);
  });

  test('a batch size changes the steps of its own trials, and with them when they prune', () => {
    const { trials } = plan({
      compare: [
        { pruner: 'mag', sparsity: 0.4, rounds: 1, progressive: { begin_epoch: 1 } },
        { pruner: 'none', train: { batch_size: 40 } },
      ],
      seeds: [1],
      train: { epochs: 2, batch_size: [20, 100] },
    });
    expect(trials.map(({ prune, train }) => [prune.begin_step, train.total_steps])).toEqual([
      [20, 40],
      [4, 8],
      [0, 20],
    ]);
  });

  test('a trial is what it is without an axis', () => {
    const [first] = plan({ train: { epochs: 2, learning_rate: 3e-4 } }).trials;
    expect(plan().trials[0]).toEqual(first);
  });
});

describe('a search', () => {
  const found = plan({ search: SEARCH });

  test('tries each value of each variant on held-out rows, by its own seeds', () => {
    expect(found.trials.map(say)).toEqual(
      ['none 0', 'snip 0.4', 'snip 0.8'].flatMap((pruned) =>
        RATES.flatMap((rate) =>
          [101, 102].map((seed) => `mrpc mrpc-held-out ${pruned} ${rate} ${seed}`),
        ),
      ),
    );
    // An epoch has the rows that are left.
    expect(found.trials[0]!.train.total_steps).toBe(2 * Math.ceil(360 / 32));
  });

  test('has a choice for each variant, with what would be compared on all rows', () => {
    const { over, choices } = found.search!;
    expect(over).toEqual(['learning_rate']);
    expect(choices.map(({ candidates }) => candidates[0]!.confirm[0]!.prune.sparsity)).toEqual([
      0, 0.4, 0.8,
    ]);
    for (const [i, { task, candidates, chosen }] of choices.entries()) {
      expect([task, chosen]).toEqual(['mrpc', undefined]);
      expect(candidates.map(({ values }) => values.learning_rate)).toEqual(RATES);
      expect(candidates.flatMap(({ trials }) => trials)).toEqual(
        found.trials.slice(4 * i, 4 * i + 4).map(({ id }) => id),
      );
    }
    const compared = choices.flatMap(({ candidates }) =>
      candidates.flatMap(({ confirm }) => confirm),
    );
    expect(compared).toEqual(plan().trials);
  });

  test('a variant without a choice is compared from the start', () => {
    const compare = [{ pruner: 'none', train: { learning_rate: 1e-4 } }, { pruner: 'none' }];
    const { trials, search, cohorts } = plan({ compare, search: SEARCH });
    expect(search!.choices).toHaveLength(1);
    expect(trials.map(say).slice(0, 3)).toEqual([
      'mrpc mrpc-digest none 0 0.0001 1',
      'mrpc mrpc-digest none 0 0.0001 2',
      'mrpc mrpc-held-out none 0 0.0003 101',
    ]);
    expect(cohorts.map((cohort) => [cohort.dataset, cohort.trials.length])).toEqual([
      ['mrpc-digest', 2],
      ['mrpc-held-out', 4],
    ]);
  });

  test('the axes that are not searched are variants, too', () => {
    const train = { epochs: 2, learning_rate: RATES, dropout: [0, 0.1] };
    const { search } = plan({ compare: [{ pruner: 'none' }], train, search: SEARCH });
    expect(
      search!.choices.map(({ candidates }) => candidates.map(({ confirm }) => confirm[0]!.train)),
    ).toMatchObject([
      [
        { dropout: 0, learning_rate: 3e-4 },
        { dropout: 0, learning_rate: 1e-3 },
      ],
      [
        { dropout: 0.1, learning_rate: 3e-4 },
        { dropout: 0.1, learning_rate: 1e-3 },
      ],
    ]);
  });

  test('two lines that mean the same choose once', () => {
    const compare = [{ pruner: 'none' }, { pruner: 'none', bottleneck: 64 }];
    expect(plan({ compare, search: SEARCH }).search!.choices).toHaveLength(1);
  });

  test('a sweep is named by what it chooses between, too', () => {
    const train = { epochs: 2, learning_rate: RATES, dropout: [0, 0.1] };
    const [one, both] = [['learning_rate'], ['learning_rate', 'dropout']].map((over) =>
      plan({ train, search: { over } }),
    );
    expect(one!.trials.map(({ id }) => id).sort()).toEqual(both!.trials.map(({ id }) => id).sort());
    expect(one!.sweep_id).not.toBe(both!.sweep_id);
    expect(plan({ search: SEARCH }).sweep_id).toBe(found.sweep_id);
    expect(plan({ search: SEARCH, seeds: [1, 2, 3] }).sweep_id).not.toBe(found.sweep_id);
  });
});

describe('rungs', () => {
  const planRungs = (rungs: number[], steps: number | number[]) => {
    const over = Array.isArray(steps) ? ['steps'] : ['learning_rate'];
    const train = { steps, learning_rate: Array.isArray(steps) ? 1e-3 : RATES };
    return plan({ train, search: { over, stop_early: { rungs, keep: 0.5 } } });
  };

  test('of one trial at the same step are refused, with the steps', () => {
    expect(() => planRungs([0.0001, 0.0002, 0.5], 6)).toThrow(
      'search.stop_early.rungs: mrpc: 0.0001 and 0.0002 of 6 steps are both step 1; ' +
        'must be at different steps: fewer rungs, further apart, or longer training',
    );
    // A rung is before the last step.
    expect(() => planRungs([0.5, 0.9], 2)).toThrow('0.5 and 0.9 of 2 steps are both step 1;');
    expect(() => planRungs([0.1, 0.2], [100, 5])).toThrow('0.1 and 0.2 of 5 steps are both step 1');
    expect(planRungs([0.1, 0.5], 6).cohorts[0]!.until_step).toBe(1);
  });

  test('need a trial of two steps', () => {
    expect(() => planRungs([0.5], 1)).toThrow(
      'search.stop_early: mrpc: a trial of one step has no',
    );
  });
});
