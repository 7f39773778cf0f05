/** Dense adapters with as many weights as pruned ones keep. */
import { completeAdapter } from '../../../orchestrator/config/adapter';
import { ConfigError } from '../../../orchestrator/base/errors';
import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { planSweep } from '../../../orchestrator/sweep/plan';
import { solveSameBudget } from '../../../orchestrator/sweep/same-budget';
import type { PlannedBackbone } from '../../../orchestrator/sweep/types';
import { expectOneProblem } from '../support/sweep-file';
import { backbone, countSizes, dataset, prune } from '../support/plans';

const count = (adapter: ReturnType<typeof completeAdapter>, pruning = prune()) =>
  countSizes(adapter, pruning, backbone(), dataset('mrpc')).kept;

const solveFor = (adapter: ReturnType<typeof completeAdapter>, pruning: ReturnType<typeof prune>) =>
  solveSameBudget(adapter, count(adapter, pruning), backbone());

describe('solveSameBudget', () => {
  test.each([
    ['houlsby', { kind: 'houlsby' as const }],
    ['pfeiffer', { kind: 'pfeiffer' as const, bottleneck: 48 }],
    ['lora', { kind: 'lora' as const, bottleneck: 8 }],
    ['lora in both', { attention: 'lora' as const, ffn: 'lora' as const, bottleneck: 16 }],
  ])('no other width is nearer: %s', (_name, keys) => {
    const wide = completeAdapter(keys);
    const [width] = [Math.max(wide.attention_bottleneck, wide.ffn_bottleneck)];
    for (const sparsity of [0, 0.1, 0.4, 0.8, 0.95, 0.999]) {
      const pruning = prune({ pruner: 'snip', sparsity });
      const kept = count(wide, pruning);
      const off = (adapter: ReturnType<typeof completeAdapter>) => Math.abs(count(adapter) - kept);
      const found = solveFor(wide, pruning)!;
      const all = Array.from({ length: width }, (_, i) =>
        off(completeAdapter({ ...keys, bottleneck: i + 1 })),
      );
      expect({ sparsity, off: off(found) }).toEqual({ sparsity, off: Math.min(...all) });
    }
  });

  test('modules of different widths are narrowed alike, and a prefix keeps its length', () => {
    const pruning = prune({ pruner: 'mag', sparsity: 0.75 });
    const both = completeAdapter({ attention_bottleneck: 32, ffn_bottleneck: 96 });
    expect(solveFor(both, pruning)).toMatchObject({
      ...{ attention_bottleneck: 8, ffn_bottleneck: 24 },
    });
    const mam = completeAdapter({ kind: 'mam' });
    expect(solveFor(mam, pruning)).toMatchObject({
      attention_bottleneck: mam.attention_bottleneck,
      ffn_bottleneck: mam.ffn_bottleneck / 4,
    });
  });

  test('units and N:M are counted as they are kept', () => {
    const wide = completeAdapter({ norm: 'none' });
    const nOfM = prune({ pruner: 'mag', structure: 'n_m', group_size: 4, group_kept: 1 });
    expect(solveFor(wide, nOfM)!.ffn_bottleneck).toBe(16);
    const units = prune({ pruner: 'mag', structure: 'units', sparsity: 0.5 });
    expect(solveFor(wide, units)!.ffn_bottleneck).toBe(32);
  });

  test('there is none for an adapter without matrices', () => {
    expect(solveFor(completeAdapter({ kind: 'bitfit' }), prune())).toBeNull();
  });
});

describe('a line with same_budget_as', () => {
  const plan = (compare: unknown[], on: PlannedBackbone = backbone(), adapter = {}) =>
    planSweep(sweepConfigFrom('t', { tasks: 'mrpc', seeds: [1], adapter, compare }), {
      backbone: on,
      datasets: [dataset('mrpc')],
      maxCohort: 8,
      defaultPrecision: 'float32',
      profileReason: null,
    }).trials.map(({ adapter, prune }) => `${prune.pruner} ${adapter.ffn_bottleneck}`);
  const SNIP = { pruner: 'snip', sparsity: [0.4, 0.8] };

  test('is a dense adapter for each pruning that it names, in either form', () => {
    const same_budget_as = ['snip 0.4', { pruner: 'snip', sparsity: 0.8 }];
    const compare = [{ pruner: 'none' }, SNIP, { pruner: 'none', same_budget_as }];
    expect(plan(compare)).toEqual(['none 64', 'snip 64', 'snip 64', 'none 38', 'none 13']);
  });

  test('follows the adapter of the sweep and the backbone, also before the line it names', () => {
    const compare = [{ pruner: 'none', same_budget_as: 'snip 0.8' }, SNIP];
    expect(plan(compare, backbone(), { bottleneck: [64, 32] })[0]).toBe('none 13');
    expect(plan(compare, backbone(), { bottleneck: [64, 32] })[1]).toBe('none 6');
    const large = { ...backbone(), hidden_size: 1024, num_layers: 24 };
    expect(plan(compare, large)[0]).toBe('none 13');
  });

  test('has the weights that the named line keeps, whatever adapter that line has', () => {
    const wide = { ...SNIP, bottleneck: 256 };
    const dense = { pruner: 'none', same_budget_as: ['snip 0.4', 'snip 0.8'] };
    expect(plan([dense, wide]).slice(0, 2)).toEqual(['none 154', 'none 51']);
    const several = [dense, { ...SNIP, bottleneck: [128, 256] }];
    expect(() => plan(several)).toThrow(/keeps \d+ or \d+ weights, as its adapters differ/);
  });

  test('is not the reference of Large-Sparse', () => {
    const compare = [
      { pruner: 'none', same_budget_as: 'snip 0.8' },
      SNIP,
      { pruner: 'none' },
      { pruner: 'mag', large_sparse: { bottleneck: 128 } },
    ];
    expect(plan(compare).at(-1)).toBe('mag 128');
  });

  test.each([
    [[{ pruner: 'none', same_budget_as: 'snip 0.6' }, SNIP], {}, 'no line of compare has snip wi'],
    [[{ pruner: 'none', same_budget_as: 'mag 0.8' }, SNIP], {}, 'no line of compare has mag with'],
    [
      [{ pruner: 'none', adapter: { kind: 'bitfit' }, same_budget_as: 'snip 0.8' }, SNIP],
      {},
      'bitfit has no bottleneck to choose',
    ],
  ])('is refused where there is nothing to be as large as', (compare, adapter, message) => {
    expect(() => plan(compare, backbone(), adapter)).toThrow(ConfigError);
    expect(() => plan(compare, backbone(), adapter)).toThrow(`same_budget_as: ${message}`);
  });

  test.each([
    [
      '{pruner: none, same_budget_as: snip}',
      '2: compare.same_budget_as: "snip" is not allowed; must be a pruner with its sparsity, for ' +
        'example snip 0.8 or {pruner: snip, sparsity: 0.8}',
    ],
    ['{pruner: none, same_budget_as: snip 1.8}', 'must be a pruner with its sparsity'],
    ['{pruner: none, same_budget_as: none 0.8}', 'must be a pruner with its sparsity'],
    [
      '{pruner: none, same_budget_as: {pruner: snip, sparsity: 2}}',
      '2: compare.same_budget_as.sparsity: 2 is not allowed; must be a number in [0, 1)',
    ],
    [
      '{pruner: none, same_budget_as: snip 0.8, bottleneck: 8}',
      '2: compare.bottleneck: 8 is not allowed; must be left out if same_budget_as is given',
    ],
    [
      '{pruner: mag, sparsity: 0.5, same_budget_as: snip 0.8}',
      '2: compare.same_budget_as: "snip 0.8" is not allowed; must be left out if there is a pruner',
    ],
  ])('%s is refused', (line, message) =>
    expectOneProblem(`tasks: mrpc\ncompare: ${line}`, message),
  );

  test('is refused under the official rules', () => {
    expectOneProblem(
      'tasks: mrpc\ncompat: official\ncompare: {pruner: none, same_budget_as: snip 0.8}',
      '3: compare.same_budget_as: "snip 0.8" is not allowed; ' +
        'must be left out under compat official',
    );
  });
});
