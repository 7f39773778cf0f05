import { chooseRows } from '../../../orchestrator/datasets/choose-rows';

describe('chooseRows', () => {
  test('takes all rows in their order where there is no limit, or a larger one', () => {
    expect(chooseRows(4, null)).toEqual([0, 1, 2, 3]);
    expect(chooseRows(4, 9)).toEqual([0, 1, 2, 3]);
  });

  test('takes different rows, in ascending order, the same each time', () => {
    const rows = chooseRows(3668, 400);
    expect(new Set(rows).size).toBe(400);
    expect(rows).toEqual(rows.toSorted((a, b) => a - b));
    expect(chooseRows(3668, 400)).toEqual(rows);
    expect(rows.every((row) => row >= 0 && row < 3668)).toBe(true);
  });

  test('takes them from everywhere, not from the beginning', () => {
    const mean = chooseRows(10_000, 1000).reduce((sum, row) => sum + row, 0) / 1000;
    expect(Math.abs(mean - 5000)).toBeLessThan(300);
  });

  test('a smaller choice is part of a larger one', () => {
    const larger = new Set(chooseRows(1000, 200));
    expect(chooseRows(1000, 100).every((row) => larger.has(row))).toBe(true);
  });
});
