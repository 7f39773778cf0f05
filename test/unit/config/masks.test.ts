/** Masks of groups, of units, and made during training. */
import { expectOneProblem, listProblems, load } from '../support/sweep-file';

describe('masks of a sweep file', () => {
  const parseLine = (yaml: string) => load(`tasks: rte\n${yaml}`).compare[0]!;

  test('may keep N of each M: quoted, or as YAML reads it without quotes', () => {
    const groups = [
      { group_kept: 2, group_size: 4 },
      { group_kept: 1, group_size: 2 },
    ];
    expect(parseLine('compare: [{pruner: mag, n_m: ["2:4", 1:2]}]')).toMatchObject({
      n_m: groups,
      sparsity: [],
    });
    expect(parseLine('compare: [{pruner: mag, n_m: 2:4}]').n_m).toEqual([groups[0]]);
  });

  test('may remove whole units', () => {
    expect(
      parseLine('compare: [{pruner: mag, sparsity: 0.5, structure: [weights, units]}]').structure,
    ).toEqual(['weights', 'units']);
  });

  test('may be made during training, by any pruner but er, unless up starts at 0', () => {
    const keys = 'rounds: 4, schedule: cubic, adapter: {init: zero_up}';
    expect(
      parseLine(
        'compare: [{pruner: [rand, snip], sparsity: 0.5, progressive: {every_epochs: 0.5}, ' +
          `${keys}}]`,
      ),
    ).toMatchObject({
      ...{ rounds: [4], schedule: ['cubic'], progressive: { begin_epoch: 1, every_epochs: 0.5 } },
    });
    expect(
      listProblems(
        'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.5, progressive: {begin_epoch: 0}, ' +
          `${keys}}]`,
      ),
    ).toHaveLength(1);
  });
});

describe('a wrong sweep file', () => {
  test.each([
    ...(['124', '{2: 4}', '4:2', '"0:4"', '"2:2"', 'two of four'] as const).map(
      (written): [string, string, string] => [
        `N:M written as ${written}`,
        `tasks: rte\ncompare: [{pruner: mag, n_m: ${written}}]`,
        'is not allowed; must be N:M in quotes, for example "2:4": N of each M neighbouring ' +
          'weights are kept',
      ],
    ),
    ...(
      [
        ['sparsity: 0.5', 'sparsity: 0.5 is not allowed; must be left out if n_m is given'],
        [
          'large_sparse: {bottleneck: 128}',
          'large_sparse: {"bottleneck":128} is not allowed; must be left out if n_m is given',
        ],
        ['scope: local', 'scope: "local" is not allowed; must be left out if n_m is given'],
        ['structure: units', 'structure: "units" is not allowed; must be left out if n_m is given'],
        ['rounds: 2', 'rounds: 2 is not allowed; must be 1 or left out if n_m is given'],
        ['pruner: er', 'pruner: "er" is not allowed; must be without er if n_m is given'],
      ] as const
    ).map(([more, message]): [string, string, string] => [
      `N:M with ${more}`,
      'tasks: rte\ncompare: ' +
        `[{${more.startsWith('pruner') ? '' : 'pruner: snip, '}n_m: "2:4", ${more}}]`,
      `2: compare[0].${message}`,
    ]),
    [
      'units of er',
      'tasks: rte\ncompare: [{pruner: er, sparsity: 0.5, structure: [weights, units]}]',
      '2: compare[0].structure: ["weights","units"] is not allowed; must be weights if a ' +
        'pruner is er',
    ],
    [
      'units at the dense budget',
      'tasks: rte\ncompare: [{pruner: mag, structure: units, large_sparse: {bottleneck: 128}}]',
      '2: compare[0].structure: "units" is not allowed; must be weights if large_sparse is ' +
        'given',
    ],
    [
      'a dense line in units',
      'tasks: rte\ncompare: [{pruner: none, structure: units}]',
      '2: compare[0].structure: "units" is not allowed; must be left out if the pruner is none',
    ],
    [
      'pruning during training without rounds',
      'tasks: rte\ncompare: [{pruner: mag, sparsity: 0.5, progressive: {begin_epoch: 1}}]',
      '2: compare[0].rounds: must be given with progressive',
    ],
    ...(
      [
        [
          'control: inverted',
          'control: "inverted" is not allowed; must be left out if progressive is given',
        ],
        [
          'reinitialize: true',
          'reinitialize: true is not allowed; must be left out if progressive is given',
        ],
        ['pruner: er', 'pruner: "er" is not allowed; must be without er if progressive is given'],
      ] as const
    ).map(([more, message]): [string, string, string] => [
      `pruning during training with ${more}`,
      `tasks: rte\ncompare: [{${more.startsWith('pruner') ? '' : 'pruner: snip, '}sparsity: 0.5, ` +
        `rounds: 3, progressive: {}, ${more}}]`,
      `2: compare[0].${message}`,
    ]),
    [
      'a negative epoch',
      'tasks: rte\ncompare: [{pruner: mag, sparsity: 0.5, rounds: 3, progressive: ' +
        '{begin_epoch: -1}}]',
      '2: compare[0].progressive.begin_epoch: -1 is not allowed; must be a number of at least 0',
    ],
  ])('is told of %s', (_what, yaml, message) => {
    expectOneProblem(yaml, message);
  });
});
