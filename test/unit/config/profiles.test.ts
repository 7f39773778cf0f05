/** What profiles and the command line change in a sweep file. */
import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { listProblems, load } from '../support/sweep-file';
import { trainOf } from '../support/plans';
import { buildPlan } from '../support/results';

describe('profiles and overrides', () => {
  const yaml = [
    'tasks: [mrpc, rte]',
    'adapter: {attention_bottleneck: 16, norm: after}',
    'train: {epochs: 4, batch_size: 8}',
    'profiles:',
    '  quick: {description: fast, rows: 400, tasks: [cola], train: {steps: 10}, adapter: ' +
      '{bottleneck: 4}}',
  ].join('\n');

  test('a profile replaces lists and merges maps', () => {
    const config = load(yaml, { profile: 'quick' });
    expect(config).toMatchObject({ profile: 'quick', rows: 400, tasks: [{ name: 'cola' }] });
    expect(trainOf(config.tasks[0])).toMatchObject({ epochs: null, steps: 10, batch_size: 8 });
    expect(config.compare[0]!.adapters[0]).toMatchObject({
      attention_bottleneck: 4,
      ffn_bottleneck: 4,
      norm: 'after',
    });
  });

  test('without one the file holds, and its profiles are listed', () => {
    const config = load(yaml);
    expect(config).toMatchObject({
      rows: null,
      profiles: [{ name: 'quick', description: 'fast' }],
    });
    expect(config.tasks).toHaveLength(2);
  });

  test.each([
    ['the file', 'tasks: [rte, {name: mrpc, train: {epochs: 2}}]', {}],
    [
      'its profile',
      'tasks: [mrpc]\nprofiles: {q: {description: x, tasks: [{name: mrpc, train: {epochs: 2}}]}}',
      { profile: 'q' },
    ],
  ])('a task that the command line names has the settings of %s', (_, text, options) => {
    const config = load(`${text}\ntrain: {epochs: 7}`, {
      ...options,
      overrides: { tasks: ['mrpc'] },
    });
    expect(config.tasks).toHaveLength(1);
    expect(trainOf(config.tasks[0])).toMatchObject({ epochs: 2 });
  });

  test('what is wrong in the settings of such a task is located in the file', () => {
    const text = 'tasks:\n  - rte\n  - {name: mrpc, train: {learning_rate: {from: 1e-4, to: 0.1}}}';
    const problems = listProblems(text, { overrides: { tasks: ['mrpc'] } });
    expect(problems).toEqual([expect.stringMatching(/^3: .*train\.learning_rate: a range/)]);
  });

  test('what the command line says goes before both', () => {
    const config = load(yaml, {
      profile: 'quick',
      overrides: { rows: 'all', seeds: [9], tasks: undefined, train: { epochs: 1 } },
    });
    expect(config).toMatchObject({
      rows: null,
      seeds: [9],
      tasks: [{ name: 'cola' }],
    });
    expect(trainOf(config.tasks[0])).toMatchObject({ epochs: 1, steps: null });
  });

  test('an unknown profile names those that are there', () => {
    expect(listProblems(yaml, { profile: 'quik' })).toEqual([
      ` there is no profile "quik"; must be one of quick; did you mean "quick"?`,
    ]);
  });

  test('a wrong override is a problem of the command line', () => {
    expect(listProblems(yaml, { overrides: { seeds: [-1] } })).toEqual([
      expect.stringMatching(/^command line: seeds\[0\]: -1 is not allowed; must be a whole number/),
    ]);
  });

  test('a command makes a sweep of its flags with the same checks', () => {
    expect(sweepConfigFrom('run', { tasks: 'rte', seeds: 3 })).toMatchObject({
      name: 'run',
      file: null,
      seeds: [3],
    });
    expect(() => sweepConfigFrom('run', { tasks: 'rta' })).toThrow(
      'tasks: "rta" is not allowed; must be one of cola,',
    );
  });
});

test('evaluations on the way are checked, can be taken back, and change no id', () => {
  const yaml = (evaluate: string) => `tasks: [mrpc]\nevaluate: ${evaluate}`;
  expect(load(yaml('{ every: epoch }')).evaluate).toEqual({ every: 'epoch', report: 'last' });
  expect(load(yaml('{ every: 0.2, report: best }')).evaluate).toMatchObject({ every: 0.2 });
  expect(load(yaml('none')).evaluate).toBeNull();
  const back = `${yaml('{ every: 0.2 }')}\nprofiles: { quick: { evaluate: none } }`;
  expect(load(back, { profile: 'quick' }).evaluate).toBeNull();
  for (const wrong of ['{ every: 1 }', '{ every: step }', '{ every: 0.001 }'])
    expect(listProblems(yaml(wrong)).join('\n')).toContain('epoch, or a fraction of the training');
  expect(listProblems(yaml('{ every: 0.5, report: first }')).join('\n')).toContain('last, best');
  const plan = buildPlan({ evaluate: { every: 0.5, report: 'last' } });
  expect(plan.evaluate).toEqual({ every: 0.5, report: 'last' });
  expect(plan.cohorts.every((each) => each.evaluate_at?.length === 1)).toBe(true);
  expect([plan.sweep_id, plan.trials]).toEqual([buildPlan().sweep_id, buildPlan().trials]);
});

test('a margin is in points, above 0, and changes no id', () => {
  const yaml = 'tasks: [mrpc]\ncompare: [{pruner: none}]';
  expect(load(`${yaml}\nmargin: 1.0`).margin).toBe(1);
  expect(load(yaml).margin).toBeNull();
  expect(listProblems(`${yaml}\nmargin: 0`).join('\n')).toContain('must be a number above 0');
  const [plain, withMargin] = [buildPlan(), buildPlan({ margin: 0.5 })];
  expect(withMargin).toEqual({ ...plain, margin: 0.5 });
});
