/** Lists under `train` and `adapter`, of the sweep, a task, a profile and a line of `compare`. */
import type { SweepConfig } from '../../../orchestrator/config/sweep-config';
import { expectOneProblem, listProblems, load } from '../support/sweep-file';

/** What a task trains with in each line of `compare`: the values of some keys. */
function listValues(config: SweepConfig, keys: string[], task = 0): unknown[][][] {
  return config.tasks[task]!.lines.map((variants) =>
    variants.map(({ candidates }) =>
      keys.map((key) => (candidates[0]!.train as unknown as Record<string, unknown>)[key]),
    ),
  );
}

describe('an axis of training', () => {
  test('multiplies with the others, the last key varying fastest', () => {
    const config = load(
      'tasks: mrpc\ntrain: {learning_rate: [3e-4, 1e-3], epochs: [2, 4], schedule: constant}',
    );
    expect(listValues(config, ['epochs', 'learning_rate', 'schedule'])).toEqual([
      [
        [2, 3e-4, 'constant'],
        [2, 1e-3, 'constant'],
        [4, 3e-4, 'constant'],
        [4, 1e-3, 'constant'],
      ],
    ]);
  });

  test("a line's own wins over the task's, and that over the sweep's", () => {
    const config = load(
      'tasks: [mrpc, {name: rte, train: {learning_rate: [1e-3, 2e-3]}}]\n' +
        'compare: [{pruner: none}, {pruner: mag, sparsity: 0.4, train: {learning_rate: 5e-3}}]\n' +
        'train: {learning_rate: 1e-4, epochs: 1}',
    );
    expect(listValues(config, ['learning_rate'])).toEqual([[[1e-4]], [[5e-3]]]);
    expect(listValues(config, ['learning_rate'], 1)).toEqual([[[1e-3], [2e-3]], [[5e-3]]]);
  });

  test('of epochs replaces steps, and the other way round', () => {
    const config = load(
      'tasks: mrpc\ncompare: [{pruner: none}, {pruner: none, train: {epochs: [1, 2]}}]\n' +
        'train: {steps: [10, 20]}',
    );
    expect(listValues(config, ['epochs', 'steps'])).toEqual([
      [
        [null, 10],
        [null, 20],
      ],
      [
        [1, null],
        [2, null],
      ],
    ]);
  });

  test('of a profile replaces that of the file, and the flags go before both', () => {
    const yaml =
      'tasks: mrpc\ntrain: {learning_rate: [1e-4, 1e-3], epochs: 2}\n' +
      'profiles: {quick: {train: {learning_rate: [5e-4], epochs: [1, 3]}}}';
    const keys = ['epochs', 'learning_rate'];
    const ofProfile = [
      [1, 5e-4],
      [3, 5e-4],
    ];
    expect(listValues(load(yaml, { profile: 'quick' }), keys)).toEqual([ofProfile]);
    const overrides = { train: { epochs: 7 } };
    expect(listValues(load(yaml, { profile: 'quick', overrides }), keys)).toEqual([[[7, 5e-4]]]);
  });

  test('of another family is left out, so that it does not double anything', () => {
    const config = load('tasks: [xsum, mrpc]\ntrain: {label_smoothing: [0, 0.1]}');
    expect(listValues(config, ['label_smoothing'])).toEqual([[[0], [0.1]]]);
    expect(listValues(config, ['label_smoothing'], 1)).toEqual([[[undefined]]]);
  });
});

describe('an axis of the adapter', () => {
  test('of the sweep multiplies with those of a line, which replace it', () => {
    const { compare } = load(
      'tasks: mrpc\nadapter: {bottleneck: [8, 16], norm: [none, before]}\n' +
        'compare: [{pruner: none, adapter: {norm: after}}, {pruner: none, bottleneck: [2, 4]}]',
    );
    const said = compare.map(({ adapters }) =>
      adapters.map(({ ffn_bottleneck, norm }) => `${ffn_bottleneck} ${norm}`),
    );
    expect(said).toEqual([
      ['8 after', '16 after'],
      ['2 none', '4 none', '2 before', '4 before'],
    ]);
  });
});

describe('a wrong axis', () => {
  test.each([
    ['train: {learning_rate: []}', '2: train.learning_rate: [] is not allowed; must be a value'],
    [
      'train: {learning_rate: [1e-3, 1e-3]}',
      '2: train.learning_rate: [0.001,0.001] is not allowed; must be a list of different values',
    ],
    [
      'train: {learning_rate: [1e-3, 0]}',
      '2: train.learning_rate[1]: 0 is not allowed; must be a number above 0',
    ],
    ['train: {epochs: [1], steps: 2}', '2: train: {"epochs":[1],"steps":2} is not allowed; must'],
    ['train: {max_minutes: [1, 2]}', '2: train.max_minutes: [1,2] is not allowed; must be a num'],
    ['rows: [10, 20]', '2: rows: [10,20] is not allowed; must be a whole number'],
    ['adapter: {norm: []}', '2: adapter.norm: [] is not allowed; must be a value or a list'],
    [
      'compare: {pruner: none, train: {max_minutes: 3}}',
      '2: compare.train.max_minutes is not a key here (allowed: epochs, steps,',
    ],
    [
      'compare: {pruner: none, train: {label_smoothing: 0.1}}',
      '2: compare[0].train.label_smoothing: applies only to summarization; remove it',
    ],
    ['train: {epochs: {from: 1, to: 9}}', '2: train.epochs: {"from":1,"to":9} is not allowed; mus'],
    [
      'train: {learning_rate: {from: 1e-3, to: 1e-4}}',
      'must be a range such as {from: 1e-4, to: 1e-2}, from a smaller to a larger number above 0',
    ],
    [
      'train: {learning_rate: {from: 1e-4, to: 1e-3}}',
      '2: train.learning_rate: a range is only for a search that draws from it; must be a list, ' +
        'or the file needs search: {over: [learning_rate], try: {random: 20}}',
    ],
  ])('%s', (line, message) => expectOneProblem(`tasks: rte\n${line}`, message));

  test('is named where it stands in a task and in a profile', () => {
    expect(
      listProblems(
        'tasks:\n  - name: rte\n    train:\n      dropout: [0.1, 2]\n' +
          'profiles:\n  p:\n    train: {dropout: {from: 0.1, to: 0.2, by: 0.1}}',
      ),
    ).toEqual([
      '4: tasks[0].train.dropout[1]: 2 is not allowed; must be a number in [0, 1)',
      '7: profiles.p.train.dropout.by is not a key here (allowed: from, to)',
    ]);
  });
});
