import { readSeeds } from '../../../orchestrator/config/seeds';
import { listProblems, load } from '../support/sweep-file';

const seeds = (written: string) => load(`{tasks: mrpc, seeds: ${written}}`).seeds;

describe('seeds in a sweep file', () => {
  test.each([
    ['3', [3]],
    ['[3]', [3]],
    ['1-5', [1, 2, 3, 4, 5]],
    ['[1-3, 7]', [1, 2, 3, 7]],
    ['[1, "2", 4-5]', [1, 2, 4, 5]],
    ['"1-3,7"', [1, 2, 3, 7]],
    ['"1 - 2, 4..5, 7–8"', [1, 2, 4, 5, 7, 8]],
    ['4-4', [4]],
    ['9007199254740990-9007199254740991', [9007199254740990, 9007199254740991]],
  ])('%s', (written, expected) => {
    expect(seeds(written)).toEqual(expected);
  });

  const FORMS =
    'must be a whole number of at least 0, a range such as 1-5, or a list such as [1, 2, 3] or ' +
    '[1-3, 7]';
  const RANGE = 'must be a range from a smaller to a larger seed, of at most 1000 seeds';
  test.each([
    ['x', 'seeds: "x"', FORMS],
    ['-1', 'seeds: -1', FORMS],
    ['1.5', 'seeds: 1.5', FORMS],
    ['', 'seeds: null', FORMS],
    ['1-', 'seeds: "1-"', FORMS],
    ['1-2-3', 'seeds: "1-2-3"', FORMS],
    ['[1, [2]]', 'seeds[1]: [2]', FORMS],
    ['[1, 5-x]', 'seeds[1]: "5-x"', FORMS],
    ['5-1', 'seeds: "5-1"', RANGE],
    ['1-99999999999', 'seeds: "1-99999999999"', RANGE],
    ['9007199254740991-9007199254740992', 'seeds: "9007199254740991-9007199254740992"', RANGE],
    ['[1-3, 2]', 'seeds: ["1-3",2]', 'must be a list of different seeds'],
  ])('%s is refused', (written, what, right) => {
    expect(listProblems(`tasks: mrpc\nseeds: ${written}`)).toEqual([
      `2: ${what} is not allowed; ${right}`,
    ]);
  });

  test('are read in the same way from a flag', () => {
    expect(readSeeds('1-3,7')).toEqual([1, 2, 3, 7]);
    expect(() => readSeeds('1,,2')).toThrow(RangeError);
  });
});
