import { countInBoth, describeSplits } from '../../../orchestrator/datasets/describe-splits';

const alone = (text: string) => [text];
const planned = (name: string, of: number, rows = of) => ({
  name,
  file: `/${name}.csv`,
  rows,
  of,
  digest: name,
});

describe('rows that are in training and validation', () => {
  test('are counted by text, without white space around it', () => {
    expect(countInBoth(['a', 'b ', 'b'], ['b', '\tb', 'B', 'c'], alone)).toBe(2);
  });

  test('are the same only if all their texts are', () => {
    const pairs = (rows: string[][]) => rows;
    const both = (row: string[]) => row;
    expect(
      countInBoth(
        pairs([['a', 'b']]),
        pairs([
          ['a', 'b'],
          ['ab', ''],
          ['b', 'a'],
        ]),
        both,
      ),
    ).toBe(1);
  });

  test('take time in proportion to the text', () => {
    const rows = Array.from(
      { length: 400_000 },
      (_, i) => `row ${i} ${'of some words '.repeat(8)}`,
    );
    const started = Date.now();
    expect(countInBoth(rows, rows.slice(0, 20_000), alone)).toBe(20_000);
    expect(Date.now() - started).toBeLessThan(5000);
  });

  test('are those in use alone', () => {
    const rows = Array.from({ length: 10 }, (_, i) => `row ${i}`);
    const splits = [
      { planned: planned('train', 10, 4), rows },
      { planned: planned('validation', 10), rows },
    ];
    const described = describeSplits(splits, alone, (used) => ({ features: used.length }));
    expect(described).toEqual([
      { ...planned('train', 10, 4), features: 4 },
      { ...planned('validation', 10), features: 10, also_in_train: 4 },
    ]);
  });
});
