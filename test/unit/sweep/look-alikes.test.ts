import { findLookAlikes, looksMissing } from '../../../orchestrator/sweep/look-alikes';

const found = (...names: string[]) => findLookAlikes(names).map((group) => group.names);

describe('class names that look alike', () => {
  test.each([
    ['case', 'Billing', 'billing'],
    ['case of letters that have two forms', 'STRASSE', 'Straße', 'straße'],
    ['case of the Turkish I', 'İADE', 'iade'],
    ['spaces', 'credit card', 'credit  card', 'creditcard'],
    ['spaces that look the same', 'credit card', 'credit\u00a0card'],
    ['what joins words', 'on hold', 'on-hold', 'on_hold', 'on–hold'],
    ['accents', 'café', 'cafe'],
    ['Unicode form', 'café', 'cafe\u0301'],
    ['width', 'ＯＫ', 'OK'],
    ['what cannot be seen', 'ok', 'o\u200bk', '\u200eok'],
  ])('are those that differ in %s only', (_, ...names) => {
    expect(findLookAlikes(['other', ...names])).toEqual([{ names, as: 'word' }]);
  });

  test.each([
    ['a number', '1', '1.0', '01', '+1', '1e0'],
    ['a negative number', '-1', '-1.0', '-01.'],
    ['a fraction', '0.5', '.5', '0.50', '5e-1'],
    ['a truth value', 'True', 'yes', '1.0'],
    ['a truth value, abbreviated', 'False', 'F'],
    ['a missing value', 'nan', 'None', 'N/A', '<NA>', 'null'],
  ])('are forms of %s', (_, ...names) => {
    expect(findLookAlikes(['other', ...names])).toEqual([{ names, as: 'value' }]);
  });

  test('are each in one group, in the order of the first', () => {
    expect(found('1', 'a', '1.0', 'A', 'b')).toEqual([
      ['1', '1.0'],
      ['a', 'A'],
    ]);
  });

  test.each([
    ['letters', ...'abcdefghijklmnopqrstuvwxyz'],
    ['numbers', '-1', '0', '1', '1.5', '10', '100', '1-2', '12'],
    ['numbers that one double stands for', '9007199254740992', '9007199254740993'],
    ['names like numbers', 'e1', 'e2', '1e999', '1e998', '.', '+', '-', '1.2', '1.2.0', '1.2.3'],
    ['signs', 'C', 'C++', 'C#'],
    ['vowels of Devanagari and dots of kana', 'की', 'का', 'か', 'が'],
    ['answers', 'yes', 'no', 'maybe'],
    ['grades', 'n', 'no-show', 'y'],
  ])('are not %s', (_, ...names) => {
    expect(found(...names)).toEqual([]);
  });

  test('may look like a missing value without another one', () => {
    expect(['nan', 'NaN', 'NULL', '<NA>', 'n/a'].every(looksMissing)).toBe(true);
    expect(['none', 'None', 'NA', 'na', 'nancy', ''].some(looksMissing)).toBe(false);
  });
});
