/** Keys and values that a sweep file may not have, and files that are not there. */
import { loadSweepConfig } from '../../../orchestrator/config/load';
import { expectOneProblem, listProblems } from '../support/sweep-file';

describe('a wrong sweep file', () => {
  test.each([
    [
      'an unknown key, with the one it is near to',
      'tasks: rte\nsedes: [1]',
      '2: sedes is not a key here; did you mean "seeds"?',
    ],
    [
      'an unknown key deep inside',
      'tasks: rte\ntrain:\n  epochs: 1\n  lr: 1',
      '4: train.lr is not a key here (allowed: epochs, steps,',
    ],
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
      'epochs without end',
      'tasks: rte\ntrain: {epochs: 1e12}',
      '2: train.epochs: 1000000000000 is not allowed; must be a whole number from 1 to 1000000',
    ],
    [
      'steps without end, for a task',
      'tasks: [{name: rte, train: {steps: 1e10}}]',
      '1: tasks[0].train.steps: 10000000000 is not allowed; must be a whole number from 1 to 10000',
    ],
    [
      'more scoring rows than the contract holds',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, scoring_rows: 4294967296}]',
      '2: compare[0].scoring_rows: 4294967296 is not allowed; must be a whole number from 1 to 429',
    ],
    [
      'a length that leaves no room for a text',
      'tasks: rte\nmax_length: 3',
      '2: max_length: 3 is not allowed; must be a whole number from 8 to 8192',
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
      '1: tasks[0]: "mrcp" is not allowed; must be one of cola, sst2, mrpc, qqp, stsb, mnli, ' +
        'qnli, rte, wnli, squad, squad_v2, xsum, cnn_dailymail; did you mean "mrpc"?',
    ],
    [
      'a task that is not there, with how rows of your own are described',
      'tasks: [tickets]',
      'cnn_dailymail; rows of your own are described in the sweep file: tasks: [{name: tickets, ' +
        'kind: classification, train: train.csv, validation: dev.csv, text: text, label: label}]',
    ],
    [
      'a key that is the beginning of one, however near another is',
      'tasks: rte\ncompar: []',
      '2: compar is not a key here; did you mean "compare"?',
    ],
    [
      'percents',
      'tasks: rte\nrows: 10%',
      '2: rows: "10%" is not allowed; must be a whole number of at least 1, or all; percents are ' +
        'not understood',
    ],
    [
      'a wrong value in a profile that is not used',
      'tasks: rte\nprofiles:\n  x:\n    rows: none',
      '4: profiles.x.rows: "none" is not allowed; must be a whole number of at least 1, or all',
    ],
    [
      'a profile in a profile',
      'tasks: rte\nprofiles: {x: {profiles: {}}}',
      '2: profiles.x.profiles is not a key here',
    ],
    ['an alias without its value', 'tasks: *all', '1: *all has no complete value &all before it'],
    [
      'an alias before its value',
      'seeds: *some\ntasks: &some rte',
      '1: *some has no complete value &some before it',
    ],
    [
      'an alias in its own value',
      'tasks: rte\ncompare: &all\n  - *all',
      '3: *all has no complete value &all before it',
    ],
    [
      'aliases that multiply',
      [
        'a: &a [rte, rte, rte, rte, rte, rte, rte, rte, rte]',
        ...['b', 'c', 'd', 'e', 'f', 'g', 'h'].map(
          (name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[i]}`).join(', ')}]`,
        ),
      ].join('\n'),
      '8: aliases repeat values too often, more than 100 times',
    ],
    [
      'a length in epochs and in steps',
      'tasks: rte\ntrain: {epochs: 1, steps: 2}',
      '2: train: {"epochs":1,"steps":2} is not allowed; must be a map with epochs or steps, ' +
        'not both',
    ],
    [
      'a seed twice',
      'tasks: rte\nseeds: [1, 1]',
      '2: seeds: [1,1] is not allowed; must be a list of different seeds',
    ],
    [
      'a list with nothing in it',
      'tasks: []',
      '1: tasks: [] is not allowed; must be a value or a list of at least one',
    ],
    ['a task twice', 'tasks: [rte, rte]', 'tasks: rte is listed twice; list each task once'],
    [
      'no tasks',
      'seeds: [1]',
      'tasks: is missing; must be a list of task names, for example [mrpc, rte]',
    ],
    [
      'a key given twice',
      'tasks: rte\ntasks: mrpc',
      '2: is not valid YAML: Map keys must be unique',
    ],
    ['no YAML at all', 'tasks: [rte', 'is not valid YAML:'],
    [
      'a list for the whole file',
      '- rte',
      '1: the file: ["rte"] is not allowed; must be a map with keys among name, backbone,',
    ],
  ])('is told of %s', (_what, yaml, message) => {
    expectOneProblem(yaml, message);
  });

  test('is told of all its problems at once', () => {
    expect(listProblems('tasks: [rte]\nseeds: [x]\ntrain: {epochs: 0}\nbackbon: y')).toHaveLength(
      3,
    );
  });

  test('that is not there is named, and so are the sweeps that are', () => {
    expect(() => loadSweepConfig('no/such.yaml')).toThrow('no/such.yaml: there is no such file');
    expect(() => loadSweepConfig('gleu')).toThrow(
      /no sweep is named "gleu"; must be one of .*did you mean "glue"\?/,
    );
  });
});
