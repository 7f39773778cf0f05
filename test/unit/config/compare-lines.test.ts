/** What the keys of a compare line need of each other. */
import { expectOneProblem } from '../support/sweep-file';

describe('a wrong sweep file', () => {
  test.each([
    ...[
      'pruner: [snip, snip], sparsity: 0.4',
      'pruner: snip, sparsity: [0.4, 4e-1]',
      'pruner: snip, n_m: ["2:4", 2:4]',
      'pruner: synflow, sparsity: 0.4, rounds: [3, 3]',
      'pruner: snip, sparsity: 0.4, control: [none, none]',
      'pruner: snip, sparsity: 0.4, scoring: {head: [{warm_up: 5}, {warm_up: 5}]}',
      'pruner: none, same_budget_as: [snip 0.4, {pruner: snip, sparsity: 0.4}]',
      'pruner: none, bottleneck: [8, 8]',
    ].map((keys): [string, string, string] => [
      `a value that is there twice: ${keys}`,
      `tasks: rte\ncompare: [{${keys}}]`,
      'is not allowed; must be a list of different values',
    ]),
    [
      'a line that is there twice',
      'tasks: rte\ncompare:\n  - {pruner: none}\n  - {pruner: snip, sparsity: 0.4}\n' +
        '  - {sparsity: [0.40], pruner: [snip]}',
      '5: compare[2]: {"sparsity":[0.4],"pruner":["snip"]} is not allowed; must be another line: ' +
        'it is the same as one above it, and adds no trial',
    ],
    [
      'a pruner without sparsity',
      'tasks: rte\ncompare: [{pruner: rand}]',
      '2: compare[0].sparsity: must be given for a pruner',
    ],
    [
      'a dense line with sparsity',
      'tasks: rte\ncompare: [{pruner: none, sparsity: 0.4}]',
      '2: compare[0].sparsity: 0.4 is not allowed; must be left out if the pruner is none',
    ],
    [
      'dense and pruned in one line',
      'tasks: rte\ncompare: [{pruner: [none, rand], sparsity: 0.4}]',
      '2: compare[0].pruner: ["none","rand"] is not allowed; must be either none or pruners',
    ],
    [
      'scoring rows that nothing uses',
      'tasks: rte\ncompare: [{pruner: rand, sparsity: 0.4, scoring_rows: 8}]',
      '2: compare[0].scoring_rows: 8 is not allowed; must be left out if no pruner is snip',
    ],
    [
      'a scoring head that nothing uses',
      'tasks: rte\ncompare: [{pruner: rand, sparsity: 0.4, scoring: {head: prior}}]',
      '2: compare[0].scoring: {"head":"prior"} is not allowed; must be left out if no pruner is ' +
        'snip, grasp, gradient, fisher or skeleton',
    ],
    [
      'a scoring head at zero, by which no gradient reaches the adapter',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, scoring: {head: zero}}]',
      '2: compare[0].scoring.head: "zero" is not allowed; must be one of published, prior; or ' +
        '{warm_up: 50}, a number of steps',
    ],
    [
      'a scoring head that is warmed up for no step',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, scoring: {head: {warm_up: 0}}}]',
      '2: compare[0].scoring.head.warm_up: 0 is not allowed; must be a whole number from 1 to',
    ],
    [
      'a scoring head with a key that is not one',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, scoring: {head: [prior, {warm_up: 9, ' +
        'rows: 8}]}}]',
      '2: compare[0].scoring.head[1].rows is not a key here (allowed: warm_up)',
    ],
    [
      'steps of a warm-up without its key',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, scoring: {head: 50}}]',
      '2: compare[0].scoring.head: 50 is not allowed; must be one of published, prior; or {warm_up',
    ],
    [
      'a scoring head that is warmed up, which nothing uses',
      'tasks: rte\ncompare: [{pruner: rand, sparsity: 0.4, scoring: {head: {warm_up: 50}}}]',
      'is not allowed; must be left out if no pruner is snip',
    ],
    [
      'a scoring head for masks made during training',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, rounds: 2, progressive: {}, ' +
        'scoring: {head: prior}}]',
      'must be left out if progressive is given: the head is the trained one then',
    ],
    [
      'a scoring head of the published code',
      'tasks: rte\ncompat: official\ncompare: [{pruner: snip, sparsity: 0.4, scoring: ' +
        '{head: prior}}]',
      'must be left out under compat official: the published code scores with the head as it is',
    ],
    [
      'large_sparse with sparsity',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.8, large_sparse: {bottleneck: 128}}]',
      '2: compare[0].sparsity: 0.8 is not allowed; must be left out if large_sparse is given',
    ],
    [
      'large_sparse without a bottleneck',
      'tasks: rte\ncompare: [{pruner: snip, large_sparse: {}}]',
      '2: compare[0].large_sparse.bottleneck: is missing; must be',
    ],
    [
      'large_sparse with a local scope',
      'tasks: rte\ncompare: [{pruner: snip, large_sparse: {bottleneck: 128}, scope: local}]',
      '2: compare[0].scope: "local" is not allowed; must be global if large_sparse is given',
    ],
    [
      'large_sparse with another bottleneck',
      'tasks: rte\ncompare: [{pruner: snip, large_sparse: {bottleneck: 128}, adapter: ' +
        '{ffn_bottleneck: 8}}]',
      'is not allowed; must be without ffn_bottleneck if large_sparse is given',
    ],
    [
      'a dense line with large_sparse',
      'tasks: rte\ncompare: [{pruner: none, large_sparse: {bottleneck: 128}}]',
      'must be left out if the pruner is none',
    ],
    [
      'a dense line with a control',
      'tasks: rte\ncompare: [{pruner: none, control: shuffled}]',
      '2: compare[0].control: "shuffled" is not allowed; must be left out if the pruner is none',
    ],
    [
      'a dense line that is drawn anew',
      'tasks: rte\ncompare: [{pruner: none, reinitialize: true}]',
      '2: compare[0].reinitialize: true is not allowed; must be left out if the pruner is none',
    ],
    [
      'er with a local scope',
      'tasks: rte\ncompare: [{pruner: er, sparsity: 0.4, scope: [global, local]}]',
      '2: compare[0].scope: ["global","local"] is not allowed; must be global if a pruner ' +
        'is er: it sets the density of each matrix itself',
    ],
    [
      'rounds that no pruner has',
      'tasks: rte\ncompare: [{pruner: [rand, mag, er], sparsity: 0.4, rounds: 5}]',
      '2: compare[0].rounds: 5 is not allowed; must be 1 or left out if no pruner is snip',
    ],
    ...[
      'schedule: cubic',
      'rounds: 1, schedule: linear',
      'rounds: [1], schedule: [linear, cubic]',
    ].map((keys): [string, string, string] => [
      `a schedule of a single round: ${keys}`,
      `tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, ${keys}}]`,
      'is not allowed; must be left out if there is a single round, or given with rounds above 1',
    ]),
    [
      'a schedule of groups, which are cut in a single round',
      'tasks: rte\ncompare: [{pruner: synflow, n_m: "2:4", schedule: cubic}]',
      '2: compare[0].schedule: "cubic" is not allowed; must be left out if there is a single round',
    ],
    [
      'a distance between rounds of a single one',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, rounds: 1, progressive: ' +
        '{every_epochs: 2}}]',
      'must be without every_epochs if there is a single round: none follows it',
    ],
    [
      'a dense line with a scope',
      'tasks: rte\ncompare: [{pruner: none, scope: local}]',
      '2: compare[0].scope: "local" is not allowed; must be left out if the pruner is none',
    ],
    [
      'a temperature that nothing uses',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, temperature: 200}]',
      '2: compare[0].temperature: 200 is not allowed; must be left out if no pruner is grasp',
    ],
  ])('is told of %s', (_what, yaml, message) => {
    expectOneProblem(yaml, message);
  });
});
