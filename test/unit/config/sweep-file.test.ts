/** What a sweep file may say, and what it means. */
import { DEFAULT_TRAIN } from '../../../orchestrator/config/defaults';
import { file, HOULSBY, listProblems, load } from '../support/sweep-file';
import { trainOf } from '../support/plans';

describe('a sweep file', () => {
  test('needs tasks only: everything else has a default', () => {
    const config = load('tasks: [mrpc]');
    expect(config).toMatchObject({
      name: 'mine',
      backbone: 'all-MiniLM-L6-v2',
      seeds: [1, 2, 3],
      rows: null,
      max_length: null,
      doc_stride: 128,
      profile: null,
    });
    expect(config.tasks).toEqual([
      {
        name: 'mrpc',
        kind: 'classification',
        lines: [[{ candidates: [{ values: {}, train: DEFAULT_TRAIN }] }]],
        max_minutes: null,
        own: null,
      },
    ]);
    expect(config.compare).toEqual([
      {
        origin: `${file}:1`,
        ...{
          pruner: ['none'],
          sparsity: [],
          large_sparse: false,
          scope: ['global'],
          scoring_rows: [128],
          scoring_head: ['published'],
          temperature: [200],
        },
        ...{
          rounds: null,
          schedule: ['exponential'],
          control: ['none'],
          repeats: 1,
          reinitialize: [false],
          adapters: [HOULSBY],
        },
        ...{ rules: 'exact', n_m: [], structure: ['weights'], progressive: null },
      },
    ]);
  });

  test('may say how the backbone is computed; where it does not, the trainer decides', () => {
    expect(load('tasks: mrpc').precision).toBeNull();
    expect(load('{tasks: mrpc, precision: bf16}').precision).toBe('bf16');
    const profiles = 'profiles: {exact: {precision: float32}}';
    expect(
      load(`{tasks: mrpc, precision: bf16, ${profiles}}`, { profile: 'exact' }).precision,
    ).toBe('float32');
    expect(
      load('{tasks: mrpc, precision: bf16}', { overrides: { precision: 'tf32' } }).precision,
    ).toBe('tf32');
  });

  test.each([
    [
      'precision: bf61',
      'precision: "bf61" is not allowed; must be one of float32, tf32, bf16; did you mean "bf16"?',
    ],
    ['precision: 16', 'precision: 16 is not allowed; must be one of float32, tf32, bf16'],
    ['precison: bf16', 'precison is not a key here; did you mean "precision"?'],
    ['train: {precision: bf16}', 'train.precision is not a key here'],
  ])('of %s is refused', (line, message) => {
    expect(listProblems(`tasks: mrpc\n${line}`).join('\n')).toContain(`2: ${message}`);
  });

  test('may give a single value where a list may stand', () => {
    expect(load('{tasks: mrpc, seeds: 7, compare: {pruner: snip, sparsity: 0.4}}')).toMatchObject({
      tasks: [{ name: 'mrpc' }],
      seeds: [7],
      compare: [{ pruner: ['snip'], sparsity: [0.4] }],
    });
  });

  test('may give a task training settings of its own', () => {
    const config = load(
      '{tasks: [mrpc, {name: rte, train: {epochs: 8}}], train: {epochs: 2, learning_rate: 3e-4}}',
    );
    expect(
      config.tasks.map(trainOf).map(({ epochs, learning_rate }) => [epochs, learning_rate]),
    ).toEqual([
      [2, 3e-4],
      [8, 3e-4],
    ]);
  });

  test('may limit the time that each trial of a task trains', () => {
    const config = load(
      '{tasks: [mrpc, {name: rte, train: {max_minutes: 0.5}}], train: {epochs: 2}}',
    );
    expect(config.tasks.map(({ max_minutes }) => max_minutes)).toEqual([null, 0.5]);
    expect(trainOf(config.tasks[1])).not.toHaveProperty('max_minutes');
    expect(listProblems('tasks: mrpc\ntrain: {max_minutes: 0}').join('\n')).toContain(
      '2: train.max_minutes: 0 is not allowed; must be a number above 0',
    );
  });

  test('sets both widths by bottleneck; the width of one module goes before it', () => {
    const [adapter] = load('{tasks: rte, adapter: {bottleneck: 32, ffn_bottleneck: 8}}').compare[0]!
      .adapters;
    expect(adapter).toEqual({ ...HOULSBY, attention_bottleneck: 32, ffn_bottleneck: 8 });
  });

  test('compares adapters: the lists of a line multiply', () => {
    const { adapters } = load(
      '{tasks: rte, compare: [{pruner: none, bottleneck: [16, 32], adapter: {norm: [none, ' +
        'before]}}]}',
    ).compare[0]!;
    expect(adapters.map((a) => [a.norm, a.ffn_bottleneck])).toEqual([
      ['none', 16],
      ['none', 32],
      ['before', 16],
      ['before', 32],
    ]);
  });

  test('gives pfeiffer no module beside attention', () => {
    const [adapter] = load('{tasks: rte, adapter: {kind: pfeiffer, bottleneck: 32}}').compare[0]!
      .adapters;
    expect(adapter).toMatchObject({ attention_bottleneck: 0, ffn_bottleneck: 32 });
  });
});
