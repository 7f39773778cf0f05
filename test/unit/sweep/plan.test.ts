import { adapterName } from '../../../orchestrator/config/adapter-kinds';
import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { budgetOf } from '../../../orchestrator/sweep/budget';
import { digestOf, trialId } from '../../../orchestrator/sweep/identity';
import { planSweep } from '../../../orchestrator/sweep/plan';
import type { Plan } from '../../../orchestrator/sweep/types';
import { backbone, dataset, prune } from '../support/plans';

const SETTINGS = {
  tasks: ['mrpc', 'rte'],
  compare: [{ pruner: 'none' }, { pruner: ['rand', 'snip'], sparsity: [0.4, 0.8] }],
  seeds: [1, 2, 3],
  train: { epochs: 4, batch_size: 32 },
};

function plan(settings: Record<string, unknown> = {}, maxCohort = 8): Plan {
  const config = sweepConfigFrom('glue', { ...SETTINGS, ...settings });
  const datasets = [dataset('mrpc', { train: 3668 }), dataset('rte', { train: 2490 })];
  return planSweep(config, { backbone: backbone(), datasets, maxCohort, profileReason: null });
}

describe('planSweep', () => {
  test('the lists of a line multiply, and each variant is run with each seed on each task', () => {
    expect(plan().trials).toHaveLength(2 * (1 + 2 * 2) * 3);
  });

  test('trials come by task, line, pruner, sparsity and seed', () => {
    const order = plan().trials.map((t) => `${t.task} ${t.prune.pruner} ${t.prune.sparsity} ${t.seed}`);
    expect(order.slice(0, 5)).toEqual(['mrpc none 0 1', 'mrpc none 0 2', 'mrpc none 0 3', 'mrpc rand 0.4 1', 'mrpc rand 0.4 2']);
    expect(order[15]).toBe('rte none 0 1');
  });

  test('an epoch has as many steps as it takes to visit every row once', () => {
    expect(plan().trials[0]!.train.total_steps).toBe(4 * Math.ceil(3668 / 32));
    expect(plan({ train: { epochs: 1, batch_size: 3668 } }).trials[0]!.train.total_steps).toBe(1);
  });

  test('a length in steps is taken as it is', () => {
    expect(plan({ train: { steps: 77 } }).trials[0]!.train.total_steps).toBe(77);
  });

  test('a trial that two lines ask for is planned once', () => {
    const twice = plan({
      compare: [
        { pruner: 'snip', sparsity: [0.4, 0.8] },
        { pruner: 'snip', sparsity: 0.4 },
      ],
    });
    expect(twice.trials).toHaveLength(2 * 2 * 3);
  });

  test('scoring rows tell snip trials apart and no others', () => {
    const compare = [{ pruner: ['rand', 'snip'], sparsity: 0.4, scoring_rows: [64, 128] }];
    expect(plan({ compare, seeds: [1], tasks: ['mrpc'] }).trials.map((t) => t.prune)).toEqual([
      prune({ pruner: 'rand', sparsity: 0.4 }),
      prune({ pruner: 'snip', sparsity: 0.4, scoring_rows: 64 }),
      prune({ pruner: 'snip', sparsity: 0.4, scoring_rows: 128 }),
    ]);
  });

  test('what a pruner does not use is neutral, and what it uses has its default', () => {
    const compare = [{ pruner: ['er', 'grasp', 'synflow'], sparsity: 0.4, schedule: 'linear' }];
    expect(plan({ compare, seeds: [1], tasks: ['mrpc'] }).trials.map((t) => t.prune)).toEqual([
      prune({ pruner: 'er', sparsity: 0.4 }),
      prune({ pruner: 'grasp', sparsity: 0.4, scoring_rows: 128, temperature: 200 }),
      prune({ pruner: 'synflow', sparsity: 0.4, rounds: 100, schedule: 'linear' }),
    ]);
  });

  test('rounds multiply for the pruners that have them; one round has one schedule', () => {
    const compare = [{ pruner: ['mag', 'snip'], sparsity: 0.4, rounds: [1, 5], schedule: ['exponential', 'linear'] }];
    const prunes = plan({ compare, seeds: [1], tasks: ['mrpc'] }).trials.map((t) => t.prune);
    expect(prunes.map((p) => `${p.pruner} ${p.rounds} ${p.schedule}`)).toEqual([
      'mag 1 exponential',
      'snip 1 exponential',
      'snip 5 exponential',
      'snip 5 linear',
    ]);
  });

  test('equal adapters are one trial, however they were written', () => {
    const compare = [
      { pruner: 'none', adapter: { kind: 'lora' } },
      { pruner: 'none', adapter: { attention: 'lora', ffn: 'none', scale: 4, norm: 'after', activation: 'gelu', ffn_bottleneck: 9 } },
    ];
    expect(plan({ compare, seeds: [1], tasks: ['mrpc'] }).trials).toHaveLength(1);
  });

  test('the same request twice is the same plan, to the byte', () => {
    expect(JSON.stringify(plan())).toBe(JSON.stringify(plan()));
    expect(digestOf(plan())).toBe(digestOf(plan()));
  });

  test('a sweep is named by its trials: their order does not matter, one more does', () => {
    expect(plan().sweep_id).toMatch(/^glue-[0-9a-f]{8}$/);
    expect(plan({ tasks: ['rte', 'mrpc'] }).sweep_id).toBe(plan().sweep_id);
    expect(plan({ seeds: [1, 2, 3, 4] }).sweep_id).not.toBe(plan().sweep_id);
  });

  test('a trial is the same trial in any sweep', () => {
    const alone = plan({ tasks: ['rte'], seeds: [2], compare: [{ pruner: 'snip', sparsity: 0.8 }] }).trials[0]!;
    expect(plan().trials.map((t) => t.id)).toContain(alone.id);
  });
});

describe('a Large-Sparse line', () => {
  const line = { pruner: 'snip', large_sparse: { bottleneck: [128, 512] } };
  const planned = (compare: unknown[]) => plan({ compare, seeds: [1], tasks: ['mrpc'] });

  test('has for each width the sparsity that keeps the weights of the dense reference', () => {
    const { trials } = planned([{ pruner: 'none' }, { pruner: 'none', bottleneck: 32 }, line]);
    const kept = trials.map((t) => budgetOf(t.adapter, t.prune, backbone(), 2).kept);
    expect(kept).toEqual([kept[0], kept[0]! - 12 * 2 * 384 * 32 - 12 * 32, kept[0], kept[0]]);
    expect(trials.slice(2).map((t) => [t.adapter.ffn_bottleneck, t.prune.pruner])).toEqual([
      [128, 'snip'],
      [512, 'snip'],
    ]);
  });

  test('without a dense line is refused', () => {
    expect(() => planned([line])).toThrow(
      'command line: compare[0].large_sparse: needs a dense reference to take its budget from; must stand beside a line {pruner: none}',
    );
  });

  test('that is no wider than the reference is refused, with the numbers', () => {
    expect(() => planned([{ pruner: 'none' }, { ...line, large_sparse: { bottleneck: 32 } }])).toThrow(
      'compare[1].large_sparse: houlsby-32 has 309120 weights in all, no more than the budget of the dense reference houlsby-64, 604416;',
    );
  });
});

describe('trialId', () => {
  const trial = plan().trials[7]!;

  test('is t and 16 hex digits', () => {
    expect(trial.id).toMatch(/^t[0-9a-f]{16}$/);
  });

  test('does not depend on the order of keys', () => {
    const reversed = Object.fromEntries(Object.entries(trial).reverse()) as unknown as typeof trial;
    expect(trialId(reversed)).toBe(trial.id);
  });

  test.each([
    ['seed', { seed: 9 }],
    ['data set', { dataset: 'other' }],
    ['backbone', { backbone: 'other' }],
    ['sparsity', { prune: { ...trial.prune, sparsity: 0.41 } }],
    ['bottleneck', { adapter: { ...trial.adapter, ffn_bottleneck: 32 } }],
    ['learning rate', { train: { ...trial.train, learning_rate: 2e-3 } }],
  ])('changes with the %s', (_what, change) => {
    expect(trialId({ ...trial, ...change })).not.toBe(trial.id);
  });

  test('stays what it was: results of an earlier version are found again', () => {
    // Defaults may be tuned; what is written out must not change its id.
    const train = { ...trial.train, learning_rate: 1e-3, dropout: 0.1 };
    expect(trialId({ ...trial, train, dataset: 'd', backbone: 'b' })).toMatchInlineSnapshot(`"t3452bac39ad59286"`);
  });
});

describe('cohorts', () => {
  test('hold every trial once, at most as many as asked, in balanced sizes', () => {
    const { cohorts, trials } = plan({}, 8);
    expect(cohorts.map((c) => c.trials.length)).toEqual([7, 8, 7, 8]);
    expect(cohorts.flatMap((c) => c.trials).sort()).toEqual(trials.map((t) => t.id).sort());
  });

  test('never mix data sets or adapters of different names', () => {
    const mixed = plan({ compare: [{ pruner: 'none', adapter: { kind: ['houlsby', 'pfeiffer'], norm: ['none', 'before'] } }] }, 64);
    const kinds = mixed.cohorts.map((c) =>
      c.trials.map((id) => mixed.trials.find((t) => t.id === id)!).map((t) => `${t.dataset} ${adapterName(t.adapter)}`),
    );
    expect(kinds).toHaveLength(4);
    for (const kind of kinds) expect(new Set(kind).size).toBe(1);
  });

  test('keep the trials of a seed together', () => {
    const { cohorts, trials } = plan({}, 5);
    const seeds = cohorts.map((c) => new Set(c.trials.map((id) => trials.find((t) => t.id === id)!.seed)).size);
    expect(seeds).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test('are numbered in the order of execution and name their task', () => {
    expect(plan({}, 8).cohorts.map((c) => c.id)).toEqual(['c01-mrpc', 'c02-mrpc', 'c03-rte', 'c04-rte']);
  });

  test('of less than one trial are refused', () => {
    expect(() => plan({}, 0)).toThrow('maxCohort is 0');
  });
});
