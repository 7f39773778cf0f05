import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_ADAPTER, DEFAULT_TRAIN } from '../../../orchestrator/config/defaults';
import { ConfigError } from '../../../orchestrator/config/errors';
import { loadSweepConfig, sweepConfigFrom, type LoadOptions } from '../../../orchestrator/config/load';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-config-'));
const file = join(folder, 'mine.yaml');
afterAll(() => rmSync(folder, { recursive: true }));

function load(yaml: string, options?: LoadOptions) {
  writeFileSync(file, yaml);
  return loadSweepConfig(file, options);
}

/** What is wrong, with the file's name left out: `3: tasks[0]: …`. */
function problems(yaml: string, options?: LoadOptions): string[] {
  try {
    load(yaml, options);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n').map((line) => line.replace(`${file}:`, ''));
    throw error;
  }
  return [];
}

describe('a sweep file', () => {
  test('needs tasks only: everything else has a default', () => {
    const config = load('tasks: [mrpc]');
    expect(config).toMatchObject({
      name: 'mine',
      backbone: 'all-MiniLM-L6-v2',
      seeds: [1, 2, 3],
      rows: null,
      max_length: 128,
      profile: null,
    });
    expect(config.tasks).toEqual([{ name: 'mrpc', train: DEFAULT_TRAIN }]);
    expect(config.compare).toEqual([
      { pruner: ['none'], sparsity: [], scope: ['global'], scoring_rows: [128], adapters: [DEFAULT_ADAPTER] },
    ]);
  });

  test('may give a single value where a list may stand', () => {
    expect(load('{tasks: mrpc, seeds: 7, compare: {pruner: snip, sparsity: 0.4}}')).toMatchObject({
      tasks: [{ name: 'mrpc' }],
      seeds: [7],
      compare: [{ pruner: ['snip'], sparsity: [0.4] }],
    });
  });

  test('may give a task training settings of its own', () => {
    const config = load('{tasks: [mrpc, {name: rte, train: {epochs: 8}}], train: {epochs: 2, learning_rate: 3e-4}}');
    expect(config.tasks.map(({ train }) => [train.epochs, train.learning_rate])).toEqual([
      [2, 3e-4],
      [8, 3e-4],
    ]);
  });

  test('sets both widths by bottleneck; the width of one module goes before it', () => {
    const [adapter] = load('{tasks: rte, adapter: {bottleneck: 32, ffn_bottleneck: 8}}').compare[0]!.adapters;
    expect(adapter).toEqual({ ...DEFAULT_ADAPTER, attention_bottleneck: 32, ffn_bottleneck: 8 });
  });

  test('compares adapters: the lists of a line multiply', () => {
    const { adapters } = load('{tasks: rte, compare: [{pruner: none, bottleneck: [16, 32], adapter: {norm: [none, before]}}]}').compare[0]!;
    expect(adapters.map((a) => [a.norm, a.ffn_bottleneck])).toEqual([
      ['none', 16],
      ['none', 32],
      ['before', 16],
      ['before', 32],
    ]);
  });

  test('gives pfeiffer no module beside attention', () => {
    const [adapter] = load('{tasks: rte, adapter: {kind: pfeiffer, bottleneck: 32}}').compare[0]!.adapters;
    expect(adapter).toMatchObject({ attention_bottleneck: 0, ffn_bottleneck: 32 });
  });
});

describe('profiles and overrides', () => {
  const yaml = [
    'tasks: [mrpc, rte]',
    'adapter: {attention_bottleneck: 16, norm: after}',
    'train: {epochs: 4, batch_size: 8}',
    'profiles:',
    '  quick: {description: fast, rows: 400, tasks: [cola], train: {steps: 10}, adapter: {bottleneck: 4}}',
  ].join('\n');

  test('a profile replaces lists and merges maps', () => {
    const config = load(yaml, { profile: 'quick' });
    expect(config).toMatchObject({ profile: 'quick', rows: 400, tasks: [{ name: 'cola' }] });
    expect(config.tasks[0]!.train).toMatchObject({ epochs: null, steps: 10, batch_size: 8 });
    expect(config.compare[0]!.adapters[0]).toMatchObject({ attention_bottleneck: 4, ffn_bottleneck: 4, norm: 'after' });
  });

  test('without one the file holds, and its profiles are listed', () => {
    const config = load(yaml);
    expect(config).toMatchObject({ rows: null, profiles: [{ name: 'quick', description: 'fast' }] });
    expect(config.tasks).toHaveLength(2);
  });

  test('what the command line says goes before both', () => {
    const config = load(yaml, { profile: 'quick', overrides: { rows: 'all', seeds: [9], tasks: undefined, train: { epochs: 1 } } });
    expect(config).toMatchObject({ rows: null, seeds: [9], tasks: [{ name: 'cola', train: { epochs: 1, steps: null } }] });
  });

  test('an unknown profile names those that are there', () => {
    expect(problems(yaml, { profile: 'quik' })).toEqual([` profile "quik" is not there; there are quick; did you mean "quick"?`]);
  });

  test('a wrong override is a problem of the command line', () => {
    expect(problems(yaml, { overrides: { seeds: [-1] } })).toEqual([
      'command line: seeds[0]: -1 is not allowed; must be a whole number of at least 0',
    ]);
  });

  test('a command makes a sweep of its flags with the same checks', () => {
    expect(sweepConfigFrom('run', { tasks: 'rte', seeds: 3 })).toMatchObject({ name: 'run', file: null, seeds: [3] });
    expect(() => sweepConfigFrom('run', { tasks: 'rta' })).toThrow('tasks: "rta" is not allowed; must be one of cola,');
  });
});

describe('a wrong sweep file', () => {
  test.each([
    ['an unknown key, with the one it is near to', 'tasks: rte\nsedes: [1]', '2: sedes is not a key here; did you mean "seeds"?'],
    ['an unknown key deep inside', 'tasks: rte\ntrain:\n  epochs: 1\n  lr: 1', '4: train.lr is not a key here (allowed: epochs, steps,'],
    [
      'a number out of range',
      'tasks: rte\ncompare:\n  - {pruner: snip, sparsity: [0.4, 1.2]}',
      '3: compare[0].sparsity[1]: 1.2 is not allowed; must be a number in [0, 1)',
    ],
    [
      'a single value out of range',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 1}]',
      '2: compare[0].sparsity: 1 is not allowed; must be a number in [0, 1)',
    ],
    [
      'a wrong type',
      'tasks: rte\ntrain: {batch_size: many}',
      '2: train.batch_size: "many" is not allowed; must be a whole number from 1 to 65536',
    ],
    [
      'a fraction where a whole number is due',
      'tasks: rte\nseeds: [1.5]',
      '2: seeds[0]: 1.5 is not allowed; must be a whole number of at least 0',
    ],
    [
      'an infinite number',
      'tasks: rte\ntrain: {learning_rate: .inf}',
      '2: train.learning_rate: Infinity is not allowed; must be a number above 0',
    ],
    [
      'a word that is not in the list',
      'tasks: [mrcp]',
      '1: tasks[0]: "mrcp" is not allowed; must be one of cola, sst2, mrpc, qqp, stsb, mnli, qnli, rte, wnli; did you mean "mrpc"?',
    ],
    [
      'a wrong value in a profile that is not used',
      'tasks: rte\nprofiles:\n  x:\n    rows: none',
      '4: profiles.x.rows: "none" is not allowed; must be a whole number of at least 1, or all',
    ],
    ['a profile in a profile', 'tasks: rte\nprofiles: {x: {profiles: {}}}', '2: profiles.x.profiles is not a key here'],
    ['a pruner without sparsity', 'tasks: rte\ncompare: [{pruner: rand}]', '2: compare[0].sparsity: must be given for a pruner'],
    [
      'a dense line with sparsity',
      'tasks: rte\ncompare: [{pruner: none, sparsity: 0.4}]',
      '2: compare[0].sparsity: 0.4 is not allowed; must be left out where the pruner is none',
    ],
    [
      'dense and pruned in one line',
      'tasks: rte\ncompare: [{pruner: [none, rand], sparsity: 0.4}]',
      '2: compare[0].pruner: ["none","rand"] is not allowed; must be none alone or pruners alone',
    ],
    [
      'scoring rows that nothing uses',
      'tasks: rte\ncompare: [{pruner: rand, sparsity: 0.4, scoring_rows: 8}]',
      '2: compare[0].scoring_rows: 8 is not allowed; must be left out where no pruner is snip',
    ],
    [
      'a length in epochs and in steps',
      'tasks: rte\ntrain: {epochs: 1, steps: 2}',
      '2: train: {"epochs":1,"steps":2} is not allowed; must be a map with epochs or steps, not both',
    ],
    ['a seed twice', 'tasks: rte\nseeds: [1, 1]', '2: seeds: [1,1] is not allowed; must be a list of different seeds'],
    ['a list with nothing in it', 'tasks: []', '1: tasks: [] is not allowed; must be a value or a list of at least one'],
    ['a task twice', 'tasks: [rte, rte]', 'tasks: rte is there twice; name each task once'],
    ['no tasks', 'seeds: [1]', 'tasks: is missing; must be a list of task names, for example [mrpc, rte]'],
    ['a key given twice', 'tasks: rte\ntasks: mrpc', '2: is not valid YAML: Map keys must be unique'],
    ['no YAML at all', 'tasks: [rte', 'is not valid YAML:'],
    ['a list for the whole file', '- rte', '1: the whole: ["rte"] is not allowed; must be a map with keys among name, backbone,'],
    [
      'large_sparse, which is not built yet',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.8, large_sparse: {}}]',
      '2: compare[0].large_sparse is not built yet',
    ],
    [
      'compat, which is not built yet',
      'tasks: rte\ncompat: official',
      '2: compat is not built yet; sparsity here is the fraction removed: a 0.6',
    ],
  ])('is told of %s', (_what, yaml, message) => {
    const found = problems(yaml);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(message);
  });

  test('is told of all its problems at once', () => {
    expect(problems('tasks: [rte]\nseeds: [x]\ntrain: {epochs: 0}\nbackbon: y')).toHaveLength(3);
  });

  test('that is not there is named, and so are the sweeps that are', () => {
    expect(() => loadSweepConfig('no/such.yaml')).toThrow('no/such.yaml: there is no such file');
    expect(() => loadSweepConfig('gleu')).toThrow(/no sweep is named "gleu"; there are .*did you mean "glue"\?/);
  });
});

describe('the sweep glue', () => {
  test.each([null, 'quick', 'full', 'paper'])('is a valid sweep with profile %s', (profile) => {
    expect(loadSweepConfig('glue', { profile }).name).toBe('glue');
  });

  test('states the defaults where it states a setting', () => {
    const config = loadSweepConfig('glue');
    expect(config.tasks[0]!.train).toEqual(DEFAULT_TRAIN);
    expect(config.compare[0]!.adapters).toEqual([DEFAULT_ADAPTER]);
  });
});
