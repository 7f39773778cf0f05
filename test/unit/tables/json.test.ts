import { parseJson } from '../../../orchestrator/tables/json';

describe('JSON', () => {
  test.each([
    ['{"a":9007199254740993,"b":9007199254740991}', { a: '9007199254740993', b: 9007199254740991 }],
    ['[-9007199254740993 ,12345678901234567890]', ['-9007199254740993', '12345678901234567890']],
    [
      '{"a":"9007199254740993","9007199254740993":1}',
      { a: '9007199254740993', '9007199254740993': 1 },
    ],
    [
      '["\\\\",9007199254740993,"\\"9007199254740993"]',
      ['\\', '9007199254740993', '"9007199254740993'],
    ],
    ['[0.30000000000000004, 1.0e300, 1e20]', [0.30000000000000004, 1e300, 1e20]],
    ['9007199254740993', '9007199254740993'],
  ])('keeps every digit of whole numbers: %s', (text, value) => {
    expect(parseJson(text)).toEqual(value);
  });

  test('of a megabyte is read at once', () => {
    const text = JSON.stringify({ text: 'x"\\'.repeat(300_000), id: 1 }).replace(
      ':1}',
      ':9007199254740993}',
    );
    expect((parseJson(text) as { id: unknown }).id).toBe('9007199254740993');
  });

  test('that is broken is no JSON', () => {
    expect(() => parseJson('{"a":9007199254740993')).toThrow(SyntaxError);
  });
});
