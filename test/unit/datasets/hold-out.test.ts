/** Which training rows a search holds out, and that planning and preparing agree on them. */
import { chooseSplitRows, planHeldOut } from '../../../orchestrator/datasets/hold-out';
import type { PlannedSplit } from '../../../orchestrator/sweep/types';

const ROWS = Array.from({ length: 100 }, (_, id) => ({ id, context: `c${Math.floor(id / 7)}` }));
const TRAIN: PlannedSplit = { name: 'train', file: 'rows.csv', rows: 100, of: 100, digest: 'd' };

function holdOut(fraction: number, rows: number | null = null, byContext = false) {
  const limits = { rows, validation_rows: 3, held_out: { fraction } };
  const groupOf = byContext ? ({ context }: (typeof ROWS)[number]) => context : undefined;
  const planned = planHeldOut(
    { planned: { ...TRAIN, rows: rows ?? 100 }, rows: ROWS },
    fraction,
    groupOf,
  );
  const prepared = planned.map((split) => chooseSplitRows(ROWS, split.planned, limits, groupOf));
  expect(prepared).toEqual(planned.map((split) => split.rows));
  expect(planned.map((split) => split.planned.rows)).toEqual(prepared.map(({ length }) => length));
  const [train, held] = prepared as [typeof ROWS, typeof ROWS];
  expect(train.some((row) => held.includes(row))).toBe(false);
  return { planned, train, held };
}

test('a tenth of the rows is held out, from all of the file, in its order', () => {
  const { planned, train, held } = holdOut(0.1);
  expect(planned.map((split) => split.planned)).toEqual([
    { ...TRAIN, rows: 90 },
    { ...TRAIN, name: 'validation', rows: 10 },
  ]);
  expect([...train, ...held].map(({ id }) => id).sort((a, b) => a - b)).toEqual(
    ROWS.map(({ id }) => id),
  );
  expect(held.map(({ id }) => id)).toEqual([10, 20, 37, 48, 50, 60, 79, 82, 88, 91]);
});

test('a larger part has the smaller one in it', () => {
  const [tenth, half] = [holdOut(0.1), holdOut(0.5)];
  expect(half.held).toHaveLength(50);
  expect(tenth.held.every((row) => half.held.includes(row))).toBe(true);
});

test('of a limited choice of rows, only those are parted', () => {
  const { train, held } = holdOut(0.25, 40);
  expect([train.length, held.length]).toEqual([30, 10]);
});

test('what belongs together is on one side', () => {
  const { train, held } = holdOut(0.2, null, true);
  const contexts = new Set(held.map(({ context }) => context));
  expect(train.some(({ context }) => contexts.has(context))).toBe(false);
  expect(held.length).toBeGreaterThanOrEqual(20);
  expect(held.length).toBeLessThan(27);
});

test('at least one row is held out, and at least one is left', () => {
  expect(holdOut(0.001).held).toHaveLength(1);
  expect(holdOut(0.999).train).toHaveLength(1);
  const one = { planned: { ...TRAIN, rows: 1, of: 1 }, rows: ROWS.slice(0, 1) };
  expect(() => planHeldOut(one, 0.5)).toThrow(
    'rows.csv: has 1 training row in use, which cannot be parted into rows to train on and rows ' +
      'that are held out for the search; must be more',
  );
});
