import type { PrecisionName } from '../../../common/vocabulary/precisions';
import { adapterName } from '../../../orchestrator/sweep/adapters';
import { loadSweepConfig, sweepConfigFrom } from '../../../orchestrator/config/load';
import { formCohorts } from '../../../orchestrator/sweep/cohorts';
import { digestValue, trialId } from '../../../orchestrator/sweep/identity';
import { planSweep } from '../../../orchestrator/sweep/plan';
import { maskWarnings } from '../../../orchestrator/sweep/warnings';
import { jobSpecFor } from '../../../orchestrator/trainer-client/spec';
import type { Plan } from '../../../orchestrator/sweep/types';
import { backbone, countSizes, dataset, prune } from '../support/plans';

const SETTINGS = {
  tasks: ['mrpc', 'rte'],
  compare: [{ pruner: 'none' }, { pruner: ['rand', 'snip'], sparsity: [0.4, 0.8] }],
  seeds: [1, 2, 3],
  train: { epochs: 4, batch_size: 32 },
};

function plan(
  settings: Record<string, unknown> = {},
  maxCohort = 8,
  defaultPrecision: PrecisionName = 'float32',
  on = backbone(),
): Plan {
  const config = sweepConfigFrom('glue', { ...SETTINGS, ...settings });
  const datasets = [dataset('mrpc', { train: 3668 }), dataset('rte', { train: 2490 })];
  return planSweep(config, {
    backbone: on,
    datasets,
    maxCohort,
    defaultPrecision,
    profileReason: null,
  });
}

describe('planSweep', () => {
  test('the lists of a line multiply, and each variant is run with each seed on each task', () => {
    expect(plan().trials).toHaveLength(2 * (1 + 2 * 2) * 3);
  });

  test('trials come by task, line, pruner, sparsity and seed', () => {
    const order = plan().trials.map(
      (t) => `${t.task} ${t.prune.pruner} ${t.prune.sparsity} ${t.seed}`,
    );
    expect(order.slice(0, 5)).toEqual([
      'mrpc none 0 1',
      'mrpc none 0 2',
      'mrpc none 0 3',
      'mrpc rand 0.4 1',
      'mrpc rand 0.4 2',
    ]);
    expect(order[15]).toBe('rte none 0 1');
  });

  test('an epoch has as many steps as it takes to visit every row once', () => {
    expect(plan().trials[0]!.train.total_steps).toBe(4 * Math.ceil(3668 / 32));
    expect(plan({ train: { epochs: 1, batch_size: 3668 } }).trials[0]!.train.total_steps).toBe(1);
  });

  test('a limit of time is of cohorts; trials, ids and other jobs are as without one', () => {
    const tasks = ['mrpc', { name: 'rte', train: { max_minutes: 5 } }];
    const limited = plan({ tasks });
    expect(limited.trials).toEqual(plan().trials);
    expect(limited.sweep_id).toBe(plan().sweep_id);
    for (const { id, max_minutes } of limited.cohorts)
      expect(max_minutes).toBe(id.endsWith('rte') ? 5 : undefined);
    const [cohort] = limited.cohorts.slice(-1);
    expect(jobSpecFor(limited, cohort!, cohort!.trials, 'train').work).toMatchObject({
      value: { maxSeconds: 300 },
    });
    expect(jobSpecFor(limited, cohort!, cohort!.trials, 'predict')).toEqual(
      jobSpecFor(plan(), plan().cohorts.at(-1)!, cohort!.trials, 'predict'),
    );
  });

  test('a length in steps is taken as it is', () => {
    expect(plan({ train: { steps: 77 } }).trials[0]!.train.total_steps).toBe(77);
  });

  test('epochs of more steps than any training has are refused, with the steps', () => {
    expect(() => plan({ train: { epochs: 1_000_000, batch_size: 1 } })).toThrow(
      'train.epochs: mrpc: 1000000 epochs of 3668 steps are 3668000000 steps; must be at most ' +
        '1000000000 steps',
    );
    expect(plan({ train: { epochs: 1_000_000, batch_size: 64 } }).trials).not.toHaveLength(0);
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

  test('the head that weights are scored with tells trials apart; published is absent', () => {
    const line = { sparsity: 0.4, scoring: { head: ['published', 'prior', { warm_up: 50 }] } };
    const compare = [
      { pruner: ['rand', 'fisher'], ...line },
      { pruner: ['fisher', 'skeleton'], sparsity: 0.4 },
    ];
    const { trials } = plan({ compare, seeds: [1], tasks: ['mrpc'] });
    const scored = { sparsity: 0.4, scoring_rows: 128 };
    expect(trials.map((t) => t.prune)).toEqual([
      prune({ pruner: 'rand', sparsity: 0.4 }),
      prune({ pruner: 'fisher', ...scored }),
      prune({ pruner: 'fisher', ...scored, scoring_head: 'prior' }),
      prune({ pruner: 'fisher', ...scored, scoring_head: 'warm_up', scoring_head_steps: 50 }),
      prune({ pruner: 'skeleton', ...scored }),
    ]);
    expect(trials[1]!.prune).not.toHaveProperty('scoring_head');
  });

  test('a prior is refused where labels have none, and a warm-up where there is no head', () => {
    const planFor = (kind: string, head: unknown) => {
      const compare = [{ pruner: 'snip', sparsity: 0.4, scoring: { head } }];
      const config = sweepConfigFrom('other', { ...SETTINGS, compare, tasks: ['mrpc'] });
      const datasets = [{ ...dataset('mrpc', { train: 3668 }), kind }];
      return () =>
        planSweep(config, {
          backbone: backbone(),
          datasets,
          maxCohort: 8,
          defaultPrecision: 'float32',
          profileReason: null,
        });
    };
    expect(planFor('question_answering', 'prior')).toThrow(
      'compare[0].scoring: head prior is not allowed for task mrpc: ' +
        'the spans of answers have no prior; must be published or left out',
    );
    expect(planFor('summarization', 'prior')).toThrow('summaries have no head');
    expect(planFor('question_answering', { warm_up: 50 })).not.toThrow();
    expect(planFor('summarization', { warm_up: 50 })).toThrow(
      'compare[0].scoring: head warm_up is not allowed for task mrpc: ' +
        'summaries have no head; must be published or left out',
    );
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
    const compare = [
      {
        pruner: ['mag', 'snip'],
        sparsity: 0.4,
        rounds: [1, 5],
        schedule: ['exponential', 'linear'],
      },
    ];
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
      {
        pruner: 'none',
        adapter: {
          attention: 'lora',
          ffn: 'none',
          scale: 4,
          norm: 'after',
          activation: 'gelu',
          ffn_bottleneck: 9,
        },
      },
    ];
    expect(plan({ compare, seeds: [1], tasks: ['mrpc'] }).trials).toHaveLength(1);
  });

  test('the same request twice is the same plan, to the byte', () => {
    expect(JSON.stringify(plan())).toBe(JSON.stringify(plan()));
    expect(digestValue(plan())).toBe(digestValue(plan()));
  });

  test('a sweep is named by its trials: their order does not matter, one more does', () => {
    expect(plan().sweep_id).toMatch(/^glue-[0-9a-f]{8}$/);
    expect(plan({ tasks: ['rte', 'mrpc'] }).sweep_id).toBe(plan().sweep_id);
    expect(plan({ seeds: [1, 2, 3, 4] }).sweep_id).not.toBe(plan().sweep_id);
  });

  test('a trial is the same trial in any sweep', () => {
    const alone = plan({ tasks: ['rte'], seeds: [2], compare: [{ pruner: 'snip', sparsity: 0.8 }] })
      .trials[0]!;
    expect(plan().trials.map((t) => t.id)).toContain(alone.id);
  });
});

describe('precision', () => {
  const ids = (settings: Record<string, unknown>, defaultPrecision?: PrecisionName) =>
    plan(settings, 8, defaultPrecision).trials.map(({ id }) => id);

  test('float32, by name or by default, is no field of a trial and no part of its id', () => {
    expect(ids({ precision: 'float32' }, 'bf16')).toEqual(ids({}));
    expect(plan({ precision: 'float32' }).trials.every((trial) => !('precision' in trial))).toBe(
      true,
    );
    // As it was before there was a choice.
    expect(plan({ tasks: ['mrpc'], seeds: [1] }).trials[0]!.id).toBe('t84a3962811a28de1');
  });

  test('of any other kind is part of what a trial is, and of its sweep', () => {
    const all = [ids({}), ids({ precision: 'tf32' }), ids({ precision: 'bf16' })];
    expect(new Set(all.flat()).size).toBe(3 * all[0]!.length);
    expect(plan({ precision: 'bf16' }).trials.every(({ precision }) => precision === 'bf16')).toBe(
      true,
    );
    expect(plan({ precision: 'bf16' }).sweep_id).not.toBe(plan().sweep_id);
  });

  test("is the trainer's default where the sweep names none, as if it were named", () => {
    expect(plan({}, 8, 'bf16')).toEqual(plan({ precision: 'bf16' }));
    expect(plan({ precision: 'tf32' }, 8, 'bf16')).toEqual(plan({ precision: 'tf32' }));
  });

  test('tells cohorts apart', () => {
    const [first, second] = plan({ tasks: ['mrpc'], seeds: [1] }).trials;
    const cohorts = formCohorts([first!, { ...second!, precision: 'bf16' }], 8);
    expect(cohorts.map(({ trials }) => trials)).toEqual([[first!.id], [second!.id]]);
  });
});

describe('a Large-Sparse line', () => {
  const line = { pruner: 'snip', large_sparse: { bottleneck: [128, 512] } };
  const planned = (compare: unknown[]) => plan({ compare, seeds: [1], tasks: ['mrpc'] });

  test('has for each width the sparsity that keeps the weights of the dense reference', () => {
    const { trials } = planned([{ pruner: 'none' }, { pruner: 'none', bottleneck: 32 }, line]);
    const kept = trials.map(
      (t) => countSizes(t.adapter, t.prune, backbone(), dataset('mrpc')).kept,
    );
    expect(kept).toEqual([kept[0], kept[0]! - 12 * 2 * 384 * 32 - 12 * 32, kept[0], kept[0]]);
    expect(trials.slice(2).map((t) => [t.adapter.ffn_bottleneck, t.prune.pruner])).toEqual([
      [128, 'snip'],
      [512, 'snip'],
    ]);
  });

  test('without a dense line is refused', () => {
    expect(() => planned([line])).toThrow(
      'command line: compare[0].large_sparse: needs a dense reference to take its budget ' +
        'from; add a line {pruner: none}',
    );
  });

  test('that is no wider than the reference is refused, with the numbers', () => {
    expect(() =>
      planned([{ pruner: 'none' }, { ...line, large_sparse: { bottleneck: 32 } }]),
    ).toThrow(
      'compare[1].large_sparse: houlsby-32 has 309120 weights in all, no more than the budget ' +
        'of the dense reference houlsby-64, 604416;',
    );
  });
});

describe('masks in pieces', () => {
  const pruned = (line: Record<string, unknown>, settings: Record<string, unknown> = {}) =>
    plan({ compare: [line], seeds: [1], tasks: ['mrpc'], ...settings }).trials.map((t) => t.prune);

  test('N of each M: the sparsity that it is, one round, scores compared in each group', () => {
    expect(pruned({ pruner: ['mag', 'synflow'], n_m: ['2:4', '1:4'] })).toEqual([
      prune({
        pruner: 'mag',
        structure: 'n_m',
        group_kept: 2,
        group_size: 4,
        sparsity: 0.5,
        scope: 'local',
      }),
      prune({
        pruner: 'mag',
        structure: 'n_m',
        group_kept: 1,
        group_size: 4,
        sparsity: 0.75,
        scope: 'local',
      }),
      prune({
        pruner: 'synflow',
        structure: 'n_m',
        group_kept: 2,
        group_size: 4,
        sparsity: 0.5,
        scope: 'local',
      }),
      prune({
        pruner: 'synflow',
        structure: 'n_m',
        group_kept: 1,
        group_size: 4,
        sparsity: 0.75,
        scope: 'local',
      }),
    ]);
  });

  test.each([
    [
      'a bottleneck module',
      { bottleneck: 30 },
      'houlsby-30: layers.<i>.attention.up.weight [384, 30] has 30 columns, not a multiple of 4',
    ],
    [
      'LoRA',
      { attention: 'none', ffn: 'lora', bottleneck: 6 },
      'none+lora-6: layers.<i>.ffn_in.up.weight [1536, 6] has 6 columns',
    ],
    [
      'one of two modules',
      { ffn_bottleneck: 2 },
      'houlsby-64/2: layers.<i>.ffn.up.weight [384, 2] has 2 columns',
    ],
  ])(
    'N of each M are refused where the columns of a matrix are not whole groups: %s',
    (_what, adapter, message) => {
      expect(() => pruned({ pruner: 'mag', n_m: '2:4', adapter })).toThrow(
        `command line: compare[0].n_m: "2:4" is not allowed with the adapter ${message}`,
      );
    },
  );

  test('whole units multiply with sparsities and rounds', () => {
    const prunes = pruned({
      pruner: 'snip',
      sparsity: [0.5, 0.75],
      structure: ['weights', 'units'],
      rounds: 3,
    });
    expect(prunes.map((p) => `${p.sparsity} ${p.structure} ${p.rounds}`)).toEqual([
      '0.5 weights 3',
      '0.5 units 3',
      '0.75 weights 3',
      '0.75 units 3',
    ]);
  });

  test('units of different sizes are refused globally, with the sizes; counted locally', () => {
    const line = {
      pruner: 'mag',
      sparsity: 0.5,
      structure: 'units',
      adapter: { attention: 'lora', ffn: 'lora' },
    };
    expect(() => pruned(line)).toThrow(
      'compare[0].scope: global is not allowed with structure units and the adapter lora+lora-8: ' +
        'a unit of layers.<i>.query has 768 weights, one of layers.<i>.ffn_in 1920; must be local',
    );
    expect(pruned({ ...line, scope: 'local' })).toEqual([
      prune({ pruner: 'mag', sparsity: 0.5, structure: 'units', scope: 'local' }),
    ]);
  });
});

describe('a mask that would keep nothing', () => {
  const planned = (line: Record<string, unknown>, settings: Record<string, unknown> = {}) =>
    plan({ compare: [{ pruner: 'mag', ...line }], seeds: [1], ...settings });

  test.each([
    [
      { sparsity: 0.9999999 },
      'sparsity: 0.9999999 keeps none of the 589824 weights of all matrices in the adapter ' +
        'houlsby-64; must be lower, or the bottleneck wider',
    ],
    [{ pruner: 'er', sparsity: 0.9999999 }, '0.9999999 keeps none of the 589824 weights of all'],
    [
      { sparsity: 0.99999, scope: 'local' },
      '0.99999 keeps none of the 24576 weights of layers.<i>.attention.down.weight in',
    ],
    [
      { sparsity: 0.9995, structure: 'units' },
      '0.9995 keeps none of the 768 units of all modules in',
    ],
    [
      { sparsity: 0.995, structure: 'units', scope: 'local' },
      '0.995 keeps none of the 64 units of layers.<i>.attention in',
    ],
  ])('is refused with the sparsity as it is written: %o', (line, message) => {
    expect(() => planned(line)).toThrow(`command line: compare[0].sparsity: `);
    expect(() => planned(line)).toThrow(message);
  });

  test('is not one of a single weight, of a matrix that others make up for, or published', () => {
    expect(() => planned({ sparsity: 1 - 1 / 589_824 })).not.toThrow();
    expect(() => planned({ sparsity: 0.99999 })).not.toThrow();
    expect(() => planned({ sparsity: 1e-9 }, { compat: 'official' })).not.toThrow();
  });
});

describe('pruning during training', () => {
  const line = {
    pruner: ['rand', 'snip'],
    sparsity: 0.5,
    rounds: 3,
    schedule: 'cubic',
    progressive: { begin_epoch: 1, every_epochs: 0.5 },
  };
  const planned = (change: Record<string, unknown> = {}) =>
    plan({ compare: [{ ...line, ...change }], seeds: [1] });

  test("has its rounds at steps by each task's length of an epoch, whatever the pruner", () => {
    const at = { sparsity: 0.5, rounds: 3, schedule: 'cubic' as const };
    // 3,668 and 2,490 rows are 115 and 78 steps of 32.
    expect(planned().trials.map((t) => t.prune)).toEqual([
      prune({ pruner: 'rand', ...at, begin_step: 115, every_steps: 58 }),
      prune({ pruner: 'snip', ...at, scoring_rows: 128, begin_step: 115, every_steps: 58 }),
      prune({ pruner: 'rand', ...at, begin_step: 78, every_steps: 39 }),
      prune({ pruner: 'snip', ...at, scoring_rows: 128, begin_step: 78, every_steps: 39 }),
    ]);
  });

  test('may begin before the first step, and has a step between rounds at least', () => {
    const [first] = planned({ progressive: { begin_epoch: 0, every_epochs: 1e-6 } }).trials;
    expect(first!.prune).toMatchObject({ begin_step: 0, every_steps: 1 });
  });

  test('is refused where training ends before the last round, with line, task and numbers', () => {
    expect(() => planned({ rounds: 8 })).toThrow(
      'command line: compare[0].progressive: task mrpc has 460 steps (115 per epoch), and the ' +
        'last of 8 rounds would be after step 521; must be before',
    );
    const once = (begin_epoch: number) =>
      planned({ pruner: 'rand', progressive: { begin_epoch }, rounds: 1, schedule: undefined });
    expect(once(459 / 115).trials[0]!.prune.begin_step).toBe(459);
    expect(() => once(4)).toThrow('after step 460;');
  });
});

describe('compat: official', () => {
  test('prunes before the first epoch, on 320 rows, by its rules, in all but dense trials', () => {
    const compare = [{ pruner: 'none' }, { pruner: ['grasp', 'synflow'], sparsity: 0.7 }];
    const config = sweepConfigFrom('glue', {
      tasks: ['mrpc', 'stsb', 'mnli'],
      compare,
      seeds: [1],
      compat: 'official',
    });
    const datasets = ['mrpc', 'stsb', 'mnli'].map((name) => dataset(name));
    const { trials } = planSweep(config, {
      backbone: backbone(),
      datasets,
      maxCohort: 8,
      defaultPrecision: 'float32',
      profileReason: null,
    });
    const official = {
      ...{ sparsity: 1 - 0.7, rules: 'official' as const, every_steps: 13, repeats: 1 },
      ...{ keeps_removed_weights: true as const, keeps_scoring_gradients: true as const },
    };
    const grasp = { scoring_rows: 320, scoring_batch: 16, temperature: 1 };
    expect(trials.slice(0, 3).map((t) => t.prune)).toEqual([
      prune(),
      prune({ pruner: 'grasp', ...official, ...grasp }),
      prune({ pruner: 'synflow', ...official }),
    ]);
  });
});

describe('the sweep masks', () => {
  test.each([
    ['quick', 400],
    [null, 3668],
  ])('is planned with profile %s, every pruned trial keeping as much', (profile, train) => {
    const config = loadSweepConfig('masks', { profile });
    const { trials } = planSweep(config, {
      backbone: backbone(),
      datasets: [dataset('mrpc', { train })],
      maxCohort: 10,
      defaultPrecision: 'float32',
      profileReason: null,
    });
    const kept = trials
      .filter((t) => t.prune.pruner !== 'none')
      .map((t) => countSizes(t.adapter, t.prune, backbone(), dataset('mrpc')).kept);
    expect(new Set(kept).size).toBe(1);
    expect(kept).toHaveLength(8 * config.seeds.length);
  });
});

describe('the warnings of a plan', () => {
  const warnings = (line: Record<string, unknown>, compat = 'none') =>
    maskWarnings(plan({ compare: [line], compat }));

  test('name what removes all of up first, once', () => {
    const line = { pruner: 'mag', sparsity: 0.5, adapter: { init: 'zero_up' } };
    expect(warnings(line)).toEqual([
      'mag with init zero_up (houlsby-64): up is all 0, so all of it is removed before any ' +
        'weight of down',
    ]);
    expect(warnings({ ...line, structure: 'units' })).toEqual([]);
    expect(warnings({ ...line, rounds: 2, progressive: {} })).toEqual([]);
    expect(warnings({ ...line, adapter: {} })).toEqual([]);
  });

  test('name the pruners for which an adapter starts otherwise than in its paper', () => {
    const adapter = { kind: 'lora' };
    expect(warnings({ pruner: ['snip', 'grasp'], sparsity: 0.5, adapter })).toEqual([
      'lora-8: up starts at N(0, 0.02), not at 0 as in its paper, in all trials here: ' +
        'at 0 it would have no usable scores of snip, grasp',
    ]);
    expect(warnings({ pruner: 'rand', sparsity: 0.5, adapter })).toEqual([]);
    expect(warnings({ pruner: 'snip', sparsity: 0.5, adapter }, 'official')).toEqual([]);
  });

  test('name where the published code cuts nothing, or everything', () => {
    const line = {
      pruner: ['snip', 'grasp', 'synflow'],
      sparsity: 0.5,
      adapter: { kind: 'pfeiffer', init: 'zero_up' },
    };
    const onRoberta = maskWarnings(
      plan({ compare: [line], compat: 'official' }, 8, 'float32', {
        ...backbone(),
        model_type: 'roberta',
      }),
    );
    expect(onRoberta).toEqual([
      'snip with init zero_up (pfeiffer-64), compat official: all scores become NaN, so ' +
        'nothing is cut',
      'grasp with init zero_up (pfeiffer-64), compat official: all scores of up are 0, so up ' +
        'is cut as a whole or not at all',
      'synflow with init zero_up (pfeiffer-64), compat official: all scores are 0, so ' +
        'everything is cut',
      'synflow with norm before (pfeiffer-64), compat official: all scores are 0, so ' +
        'everything is cut',
    ]);
    const out = { pruner: 'synflow', sparsity: 0.5, adapter: { norm: 'after' } };
    expect(warnings(out, 'official')).toEqual([
      'synflow with norm update (houlsby-64), compat official: its scores are rounding errors, ' +
        'so what is cut differs from machine to machine',
    ]);
    // There the loader of BERT draws all matrices anew.
    expect(warnings({ ...line, pruner: 'snip' }, 'official')).toEqual([]);
    expect(warnings({ pruner: 'mag', sparsity: 0.5, control: 'shuffled' }, 'official')).toEqual([
      'control shuffled, compat official: changes nothing, as in the published code',
    ]);
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
    expect(trialId({ ...trial, train, dataset: 'd', backbone: 'b' })).toMatchInlineSnapshot(
      `"t3452bac39ad59286"`,
    );
  });
});

describe('cohorts', () => {
  test('are larger only of trials that are through in no time', () => {
    const brief = (steps: number) => {
      const [trial] = plan().trials;
      const train = { ...trial!.train, total_steps: steps, batch_size: 8 };
      const trials = Array.from({ length: 64 }, (_, i) => ({ ...trial!, id: `t${i}`, train }));
      return formCohorts(trials, 8, 0, 32).map(({ trials: { length } }) => length);
    };
    expect(brief(1)).toEqual([32, 32]);
    expect(brief(10)).toEqual([10, 11, 11, 10, 11, 11]);
    expect(new Set(brief(1000))).toEqual(new Set([8]));
  });

  test('hold every trial once, at most as many as asked, in balanced sizes', () => {
    const { cohorts, trials } = plan({}, 8);
    expect(cohorts.map((c) => c.trials.length)).toEqual([7, 8, 7, 8]);
    expect(cohorts.flatMap((c) => c.trials).sort()).toEqual(trials.map((t) => t.id).sort());
  });

  test('never mix data sets or adapters of different names', () => {
    const mixed = plan(
      {
        compare: [
          { pruner: 'none', adapter: { kind: ['houlsby', 'pfeiffer'], norm: ['none', 'before'] } },
        ],
      },
      64,
    );
    const kinds = mixed.cohorts.map((c) =>
      c.trials
        .map((id) => mixed.trials.find((t) => t.id === id)!)
        .map((t) => `${t.dataset} ${adapterName(t.adapter)}`),
    );
    expect(kinds).toHaveLength(4);
    for (const kind of kinds) expect(new Set(kind).size).toBe(1);
  });

  test('have a trial that trains all of its backbone alone', () => {
    const full = plan(
      { compare: [{ pruner: 'none', adapter: { kind: ['full', 'houlsby'] } }], tasks: ['mrpc'] },
      8,
    );
    expect(full.cohorts.map((c) => c.trials.length)).toEqual([1, 1, 1, 3]);
    // The published BitFit trains the backbone's own biases, and not beside them.
    const published = plan({
      ...{ compat: 'official', tasks: ['mrpc'] },
      compare: [{ pruner: 'none', adapter: { kind: ['bitfit', 'houlsby'] } }],
    });
    expect(published.cohorts.map((c) => c.trials.length)).toEqual([1, 1, 1, 3]);
  });

  test('keep the trials of a seed together', () => {
    const { cohorts, trials } = plan({}, 5);
    const seeds = cohorts.map(
      (c) => new Set(c.trials.map((id) => trials.find((t) => t.id === id)!.seed)).size,
    );
    expect(seeds).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test('are numbered in the order of execution and name their task', () => {
    expect(plan({}, 8).cohorts.map((c) => c.id)).toEqual([
      'c01-mrpc',
      'c02-mrpc',
      'c03-rte',
      'c04-rte',
    ]);
  });

  test('of less than one trial are refused', () => {
    expect(() => plan({}, 0)).toThrow('maxCohort is 0');
  });
});
