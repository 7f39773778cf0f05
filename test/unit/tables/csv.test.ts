import { parseCsv } from '../../../orchestrator/tables/csv';

const cells = (content: string) => parseCsv(content).map((record) => record.cells);

describe('parseCsv', () => {
  test.each([
    [
      'cells and lines',
      'a,b\n1,2\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'a last line without an end',
      'a,b\n1,2',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'lines that end in \\r\\n',
      'a,b\r\n"1",2\r\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    ['commas and line ends in quotes', 'a\n"x, y\r\nz"\n', [['a'], ['x, y\r\nz']]],
    ['doubled quotes', '"say ""hi""",""""\n', [['say "hi"', '"']]],
    ['empty cells', ',"",\n', [['', '', '']]],
    ['an empty cell at the very end', 'a,', [['a', '']]],
    ['a quote inside a plain cell, which is text', '5" disk,6\n', [['5" disk', '6']]],
    ['white space, which belongs to a cell', ' a , b\n', [[' a ', ' b']]],
    ['a carriage return alone, which ends nothing', 'a\rb,c\n', [['a\rb', 'c']]],
    ['lines with nothing on them, which are left out', 'a\n\n\r\nb\n\n', [['a'], ['b']]],
    ['nothing', '', []],
  ])('reads %s', (_what, content, expected) => {
    expect(cells(content)).toEqual(expected);
  });

  test('numbers a record by its first line', () => {
    expect(parseCsv('a,b\n"1\n\n2",x\n\ny,z\n').map(({ number }) => number)).toEqual([1, 2, 6]);
  });

  test('names the line where a quote opens that is never closed', () => {
    expect(parseCsv('a,b\n"1\n2","x\ny,z\n')[1]).toEqual({
      number: 2,
      cells: ['1\n2', 'x\ny,z\n'],
      problem:
        'the quote that opens on line 3 is never closed; a quote inside a quoted cell must be ' +
        'written twice',
    });
  });

  test('goes on after a quote that is closed too early', () => {
    expect(parseCsv('"a "b" c",d\ne,f\n').map(({ problem }) => problem)).toEqual([
      'the quote that opens on line 1 is closed before the end of its cell; a quote inside a ' +
        'quoted cell must be written twice',
      null,
    ]);
  });
});
