import { completeAdapter } from '../../../orchestrator/config/adapter';
import { solveLargeSparse, sparsityKeeping } from '../../../orchestrator/sweep/large-sparse';
import { backbone, countSizes, dataset, prune } from '../support/plans';

const kept = (adapter: ReturnType<typeof completeAdapter>, sparsity: number) =>
  countSizes(adapter, prune({ pruner: 'snip', sparsity }), backbone(), dataset('mrpc')).kept;

describe('solveLargeSparse', () => {
  test.each([
    ['houlsby', 64, { kind: 'houlsby' as const }],
    ['pfeiffer', 48, { kind: 'pfeiffer' as const }],
    ['parallel', 7, { kind: 'parallel' as const }],
    ['lora', 8, { kind: 'lora' as const }],
    ['lora in both', 8, { attention: 'lora' as const, ffn: 'lora' as const }],
  ])('keeps exactly the dense budget at every width: %s', (_name, width, keys) => {
    const reference = completeAdapter({ ...keys, bottleneck: width });
    for (let wide = width + 1; wide <= 4 * 384; wide += 13) {
      const adapter = completeAdapter({ ...keys, bottleneck: wide });
      const solved = solveLargeSparse(adapter, reference, backbone());
      const sparsity = 'sparsity' in solved ? solved.sparsity : NaN;
      expect({ wide, kept: kept(adapter, sparsity) }).toEqual({ wide, kept: kept(reference, 0) });
    }
  });

  test('between different adapters as well', () => {
    const [reference, wide] = [
      completeAdapter({ kind: 'pfeiffer' }),
      completeAdapter({ kind: 'houlsby', bottleneck: 100 }),
    ];
    const solved = solveLargeSparse(wide, reference, backbone());
    expect(kept(wide, 'sparsity' in solved ? solved.sparsity : NaN)).toBe(kept(reference, 0));
  });

  test('refuses an adapter whose biases and norms alone exceed the budget, in numbers', () => {
    const [reference, wide] = [
      completeAdapter({ bottleneck: 1 }),
      completeAdapter({ bottleneck: 1000 }),
    ];
    expect(solveLargeSparse(wide, reference, backbone())).toEqual({
      refusal:
        'houlsby-1000 has 25824 weights that are never pruned (biases, norms), no fewer than ' +
        'the budget of the dense reference houlsby-1, 23052',
    });
  });

  test.each([
    ['narrower', 63],
    ['as wide', 64],
  ])('refuses one that is %s', (_what, bottleneck) => {
    const solved = solveLargeSparse(
      completeAdapter({ bottleneck }),
      completeAdapter({}),
      backbone(),
    );
    expect(solved).toMatchObject({
      refusal: expect.stringContaining('no more than the budget') as string,
    });
  });
});

describe('sparsityKeeping', () => {
  test('is the shortest decimal that keeps the count', () => {
    expect(sparsityKeeping(50, 100)).toBe(0.5);
    expect(sparsityKeeping(25, 100)).toBe(0.75);
    expect(sparsityKeeping(1, 3)).toBe(0.7);
  });

  test.each([1_000_003, 2 ** 31 + 11])('keeps any count of %d', (n) => {
    for (const count of [1, 2, 3, 1000, Math.floor(n / 3), Math.floor(n / 2), n - 2, n - 1]) {
      const sparsity = sparsityKeeping(count, n);
      expect(sparsity).toBeGreaterThanOrEqual(0);
      expect(sparsity).toBeLessThan(1);
      expect(Math.floor((1 - sparsity) * n + 0.5)).toBe(count);
    }
  });

  test('of all or none of them there is none', () => {
    expect(() => sparsityKeeping(0, 10)).toThrow('no sparsity keeps exactly 0 of 10');
  });
});
