/** Adapters of a sweep file: their kinds and modules, and pruners that do not fit them. */
import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { adapterName } from '../../../orchestrator/sweep/adapters';
import { expectOneProblem, listProblems, load } from '../support/sweep-file';

describe('the adapters of a sweep file', () => {
  const buildAdapter = (keys: string) =>
    load(`{tasks: rte, adapter: ${keys}}`).compare[0]!.adapters[0]!;
  const modules = {
    scale: 1,
    norm: 'none',
    activation: 'relu',
    init: 'gaussian',
    init_std: 0.02,
    lora_alpha: 0,
    prefix_hidden: 0,
  };

  test.each([
    [
      'houlsby',
      {
        attention: 'sequential',
        ffn: 'sequential',
        attention_bottleneck: 64,
        ffn_bottleneck: 64,
        norm: 'before',
      },
    ],
    [
      'pfeiffer',
      {
        attention: 'none',
        ffn: 'after_norm',
        attention_bottleneck: 0,
        ffn_bottleneck: 64,
        norm: 'before',
      },
    ],
    [
      'parallel',
      { attention: 'parallel', ffn: 'parallel', attention_bottleneck: 64, ffn_bottleneck: 64 },
    ],
    [
      'lora',
      {
        attention: 'lora',
        ffn: 'none',
        attention_bottleneck: 8,
        ffn_bottleneck: 0,
        lora_alpha: 16,
        init: 'zero_up',
        init_std: 0,
      },
    ],
    [
      'prefix',
      {
        attention: 'prefix',
        ffn: 'none',
        attention_bottleneck: 30,
        ffn_bottleneck: 0,
        prefix_hidden: 800,
      },
    ],
    [
      'mam',
      {
        attention: 'prefix',
        ffn: 'parallel',
        attention_bottleneck: 30,
        ffn_bottleneck: 192,
        scale: 4,
        prefix_hidden: 800,
        init: 'zero_up',
      },
    ],
    ['prompt', { attention: 'prompt', ffn: 'none', attention_bottleneck: 20, ffn_bottleneck: 0 }],
    [
      'full',
      {
        attention: 'none',
        ffn: 'none',
        attention_bottleneck: 0,
        ffn_bottleneck: 0,
        init_std: 0,
        unfrozen: 'all',
      },
    ],
    [
      'bitfit',
      {
        attention: 'none',
        ffn: 'none',
        attention_bottleneck: 0,
        ffn_bottleneck: 0,
        init_std: 0,
        unfrozen: 'biases',
      },
    ],
    [
      'head_only',
      { attention: 'none', ffn: 'none', attention_bottleneck: 0, ffn_bottleneck: 0, init_std: 0 },
    ],
  ])('%s has its modules and its defaults, and neutral values for the rest', (kind, expected) => {
    const adapter = buildAdapter(`{kind: ${kind}}`);
    expect(adapter).toEqual({ ...modules, unfrozen: 'none', ...expected });
    expect(adapterName(adapter)).toBe(kind);
  });

  test.each(['lora', 'mam'])('%s starts as in its paper unless scores need more', (kind) => {
    const inits = (compare: object[]) => {
      const lines = compare.map((line) => ({ sparsity: 0.5, adapter: { kind }, ...line }));
      const dense = { pruner: 'none', adapter: { kind } };
      const config = sweepConfigFrom('t', { tasks: 'rte', compare: [dense, ...lines] });
      return config.compare.flatMap(({ adapters }) => adapters.map(({ init }) => init));
    };
    expect(inits([{ pruner: ['rand', 'er'] }])).toEqual(['zero_up', 'zero_up']);
    // All of the sweep then, so that differences come from masks alone.
    for (const pruner of ['snip', 'grasp', 'synflow', 'gradient', 'fisher', 'skeleton', 'mag'])
      expect(inits([{ pruner: ['rand', pruner] }])).toEqual(['gaussian', 'gaussian']);
    expect(inits([{ pruner: 'snip', adapter: { kind: 'houlsby' } }])).toEqual([
      'zero_up',
      'gaussian',
    ]);
    // After an epoch of training up is no longer 0.
    expect(inits([{ pruner: 'snip', rounds: 2, progressive: {} }])).toEqual(['zero_up', 'zero_up']);
    expect(inits([{ pruner: 'rand', adapter: { kind, init: 'gaussian' } }])).toEqual([
      'zero_up',
      'gaussian',
    ]);
  });

  test('may be put together from modules, alone or on top of a kind', () => {
    const both = buildAdapter('{attention: lora, ffn: parallel, bottleneck: 4}');
    expect(both).toMatchObject({
      attention: 'lora',
      ffn: 'parallel',
      attention_bottleneck: 4,
      ffn_bottleneck: 4,
      lora_alpha: 16,
    });
    expect(adapterName(both)).toBe('lora+parallel');
    expect(buildAdapter('{kind: mam, ffn: lora}')).toMatchObject({
      attention: 'prefix',
      ffn: 'lora',
      ffn_bottleneck: 8,
      scale: 1,
    });
    expect(adapterName(buildAdapter('{attention: prefix, ffn: parallel}'))).toBe('mam');
    expect(adapterName(buildAdapter('{attention: prompt, ffn: parallel}'))).toBe('prompt+parallel');
    expect(buildAdapter('{attention: none, ffn: none}')).toEqual(buildAdapter('{kind: head_only}'));
  });

  test('are equal where they differ only in what they do not use', () => {
    const unused = 'scale: 9, norm: after, activation: gelu';
    expect(buildAdapter(`{kind: lora, prefix_hidden: 5, ffn_bottleneck: 5, ${unused}}`)).toEqual(
      buildAdapter('{kind: lora}'),
    );
    expect(buildAdapter(`{kind: prefix, init: zero_up, lora_alpha: 5, ${unused}}`)).toEqual(
      buildAdapter('{kind: prefix}'),
    );
    expect(
      buildAdapter(`{kind: bitfit, init: zero_up, init_std: 1, bottleneck: 5, ${unused}}`),
    ).toEqual(buildAdapter('{kind: bitfit}'));
    expect(buildAdapter('{init: zero_up, init_std: 1}')).toEqual(buildAdapter('{init: zero_up}'));
  });

  test('what is written goes before a kind, which replaces earlier modules only', () => {
    const yaml =
      '{tasks: rte, adapter: {attention: lora, norm: after, bottleneck: 32}, compare: ' +
      '[{pruner: none, adapter: {kind: mam}}]}';
    expect(load(yaml).compare[0]!.adapters[0]).toMatchObject({
      attention: 'prefix',
      norm: 'after',
      scale: 4,
      ffn_bottleneck: 32,
    });
  });
});

describe('a wrong sweep file', () => {
  test.each([
    [
      'gradient scores of a down beside a zero up',
      'tasks: rte\nadapter: {init: zero_up}\ncompare: [{pruner: gradient, sparsity: 0.4}]',
      'and init zero_up: all scores of down would be 0; must be used with init gaussian',
    ],
    [
      'a pruner of an adapter without matrices',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, adapter: {kind: [houlsby, bitfit]}}]',
      '2: compare[0].pruner: "snip" is not allowed with the adapter bitfit; must be none: it ' +
        'has no matrix to prune',
    ],
    [
      'scores that would all be 0',
      'tasks: rte\ncompare: [{pruner: snip, sparsity: 0.4, adapter: {kind: lora, init: zero_up}}]',
      '2: compare[0].pruner: "snip" is not allowed with the adapter lora and init zero_up: all ' +
        'scores would be 0; must be used with init gaussian',
    ],
    [
      'scores of up that would all be 0',
      'tasks: rte\ncompare: [{pruner: grasp, sparsity: 0.4, adapter: {init: zero_up}}]',
      '2: compare[0].pruner: "grasp" is not allowed with the adapter houlsby and init zero_up: ' +
        'all scores of up would be 0;',
    ],
    [
      'a module beside bitfit',
      'tasks: rte\ncompare: [{pruner: none, adapter: {kind: bitfit, ffn: parallel}}]',
      '2: compare[0].adapter.ffn: "parallel" is not allowed; must be left out if the kind ' +
        'is bitfit',
    ],
    [
      'a module beside full fine-tuning',
      'tasks: rte\nadapter: {kind: full, attention: lora}',
      '2: adapter.attention: "lora" is not allowed; must be left out if the kind is full',
    ],
    [
      'a module on top of a kind that trains the backbone',
      'tasks: rte\nadapter: {kind: full}\ncompare: [{pruner: none, adapter: {ffn: parallel}}]',
      '3: compare[0].adapter: "parallel" is not allowed with full; must be none: no module ' +
        'can be added when parts of the backbone are trained',
    ],
    ...(['prompt', 'full'] as const).map((kind): [string, string, string] => [
      `a pruner of ${kind}`,
      `tasks: rte\ncompare: [{pruner: mag, sparsity: 0.4, adapter: {kind: ${kind}}}]`,
      '2: compare[0].pruner: "mag" is not allowed with the adapter ' +
        `${kind}; must be none: it has no matrix to prune`,
    ]),
    [
      'magnitudes that are all 0 in their scope',
      'tasks: rte\ncompare: [{pruner: mag, sparsity: 0.5, scope: local, adapter: {init: zero_up}}]',
      '2: compare[0].pruner: "mag" is not allowed with the adapter houlsby and init zero_up: ' +
        'scores of up, all 0, would be compared',
    ],
  ])('is told of %s', (_what, yaml, message) => {
    expectOneProblem(yaml, message);
  });

  test('is told of a pruner in a profile at its line, and of all lines at once', () => {
    const lines = [
      'tasks: rte',
      'adapter: {kind: prefix}',
      'profiles:',
      '  p:',
      '    compare:',
      '      - {pruner: none}',
    ];
    const yaml = [
      ...lines,
      '      - {pruner: mag, sparsity: 0.4}',
      '      - {pruner: er, sparsity: 0.4}',
    ].join('\n');
    expect(listProblems(yaml, { profile: 'p' })).toEqual([
      '7: compare[1].pruner: "mag" is not allowed with the adapter prefix; must be none: it ' +
        'has no matrix to prune',
      '8: compare[2].pruner: "er" is not allowed with the adapter prefix; must be none: it ' +
        'has no matrix to prune',
    ]);
    expect(listProblems(yaml)).toEqual([]);
  });

  test('a pruner of the command line is a problem of the command line', () => {
    const overrides = {
      adapter: { kind: 'head_only' },
      compare: [{ pruner: 'rand', sparsity: 0.4 }],
    };
    expect(listProblems('tasks: rte', { overrides })).toEqual([
      expect.stringContaining('command line: compare[0].pruner: "rand"'),
    ]);
  });
});
