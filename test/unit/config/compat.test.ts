/** `compat: official`: the meaning, rules and defaults of the published code. */
import { completeAdapter } from '../../../orchestrator/config/adapter';
import { expectOneProblem, HOULSBY, listProblems, load } from '../support/sweep-file';

describe('compat: official', () => {
  test('reads sparsity as the fraction kept, with the published rules and defaults', () => {
    const [line] = load(
      'tasks: rte\ncompat: official\ncompare: [{pruner: [snip, synflow], sparsity: [0.7, 1]}]',
    ).compare;
    expect(line).toMatchObject({
      rules: 'official',
      sparsity: [1 - 0.7, 0],
      scoring_rows: null,
      temperature: [1],
      rounds: null,
    });
    expect(line!.adapters).toEqual([HOULSBY]);
  });

  test("has the published code's LoRA", () => {
    const [adapter] = load('tasks: rte\ncompat: official\nadapter: {kind: lora}').compare[0]!
      .adapters;
    expect(adapter).toEqual(completeAdapter({ kind: 'lora', lora_alpha: 32, init: 'zero_up' }));
    expect(
      load('tasks: rte\ncompat: official\nadapter: {kind: lora, lora_alpha: 4, init: gaussian}')
        .compare[0]!.adapters,
    ).toEqual([completeAdapter({ kind: 'lora', lora_alpha: 4 })]);
  });

  test('may be said by a profile for lines of its own, and taken back', () => {
    const lines = 'compare: [{pruner: mag, sparsity: 0.25}]';
    const yaml = `tasks: rte\n${lines}\nprofiles:\n  theirs: {compat: official, ${lines}}`;
    expect(load(yaml).compare[0]).toMatchObject({ rules: 'exact', sparsity: [0.25] });
    expect(load(yaml, { profile: 'theirs' }).compare[0]).toMatchObject({
      rules: 'official',
      sparsity: [0.75],
    });
    const back =
      `tasks: rte\ncompat: official\n${lines}\nprofiles:\n` +
      `  quick: {rows: 9, ${lines}}\n  ours: {compat: none, ${lines}}`;
    expect(load(back, { profile: 'quick' }).compare[0]).toMatchObject({
      rules: 'official',
      sparsity: [0.75],
    });
    expect(load(back, { profile: 'ours' }).compare[0]).toMatchObject({
      rules: 'exact',
      sparsity: [0.25],
    });
  });

  test('fails no trial, so that scores which are all 0 are allowed', () => {
    expect(
      listProblems(
        'tasks: rte\ncompat: official\ncompare: [{pruner: snip, sparsity: 0.5, adapter: ' +
          '{init: zero_up}}]',
      ),
    ).toEqual([]);
  });
});

describe('a wrong sweep file', () => {
  test.each([
    [
      'a pruner that the published code lacks',
      'tasks: rte\ncompat: official\ncompare: [{pruner: gradient, sparsity: 0.4}]',
      'must be without gradient under compat official: it is not in the published code',
    ],
    ...(
      [
        [
          'sparsity: 0',
          'sparsity: 0 is not allowed; must be a number in (0, 1], under ' +
            'compat official the fraction of weights kept',
        ],
        ['sparsity: 1.2', 'sparsity: 1.2 is not allowed; must be a number in (0, 1], under'],
        [
          'scope: local',
          'sparsity: must be given for a pruner: under compat official, the fraction of ' +
            'weights to keep, in (0, 1]',
        ],
        [
          'sparsity: 0.5, temperature: 200',
          'temperature: 200 is not allowed; must be left out under compat official',
        ],
        [
          'large_sparse: {bottleneck: 128}',
          'large_sparse: {"bottleneck":128} is not allowed; must be left out under compat official',
        ],
        ['n_m: "2:4"', 'n_m: "2:4" is not allowed; must be left out under compat official'],
        [
          'sparsity: 0.5, structure: units',
          'structure: "units" is not allowed; must be left out under compat official',
        ],
        [
          'sparsity: 0.5, progressive: {every_epochs: 2}',
          'progressive: {"every_epochs":2} is not allowed; must be without every_epochs under',
        ],
        [
          'sparsity: 0.5, rounds: 3, schedule: cubic',
          'schedule: "cubic" is not allowed; must be exponential or linear under compat official',
        ],
      ] as const
    ).map(([keys, message]): [string, string, string] => [
      `${keys} under compat official`,
      `tasks: rte\ncompat: official\ncompare: [{pruner: grasp, ${keys}}]`,
      `3: compare[0].${message}`,
    ]),
    [
      'er under compat official',
      'tasks: rte\ncompat: official\ncompare: [{pruner: er, sparsity: 0.5}]',
      '3: compare[0].pruner: "er" is not allowed; must be without er under compat official: ' +
        'it is in the paper',
    ],
    [
      'another compat',
      'tasks: rte\ncompat: oficial',
      '2: compat: "oficial" is not allowed; must be one of none, official; did you mean',
    ],
    [
      'a profile that would turn the meaning of sparsity',
      'tasks: rte\ncompare: [{pruner: mag, sparsity: 0.4}]\nprofiles:\n  theirs: {compat: ' +
        'official}',
      '4: profiles.theirs.compat: "official" is not allowed; must be given with a compare',
    ],
  ])('is told of %s', (_what, yaml, message) => {
    expectOneProblem(yaml, message);
  });
});
