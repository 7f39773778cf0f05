import { constants } from 'node:buffer';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../../orchestrator/base/errors';
import { readOwnRows } from '../../../../orchestrator/tasks/rows/own-tables';
import type { RowKind } from '../../../../orchestrator/tasks/rows/dataset';
import { PARQUET } from '../../support/parquet';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-own-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Request {
  text?: string[];
  label?: string;
  kind?: RowKind;
  known?: string[];
}

function read(
  name: string,
  content: string | Buffer,
  { text = ['text'], label = 'label', kind = 'classification', known }: Request = {},
) {
  const path = join(folder, name);
  writeFileSync(path, content);
  return readOwnRows(path, { kind, columns: { text, label } }, known ?? null);
}

/** What is wrong, with the folder's name left out: `a.csv:3: …`. */
async function problems(...request: Parameters<typeof read>): Promise<string[]> {
  const said = (list: readonly { where: string; message: string }[]) =>
    list.map(({ where, message }) => `${where}: ${message}`.replace(`${folder}/`, ''));
  try {
    return said((await read(...request)).problems);
  } catch (error) {
    if (error instanceof ConfigError) return said(error.problems);
    throw error;
  }
}

describe('the rows of own files', () => {
  const rows = [
    { text: 'say "hi", then go', pair: null, label: 1 },
    { text: 'no', pair: null, label: 0 },
  ];

  test.each([
    ['CSV', 'a.csv', '\uFEFFid,text,label\r\n1,"say ""hi"", then go",spam\r\n2,no,ham\r\n'],
    [
      'TSV, where quotes are text',
      'a.tsv',
      'text\tid\tlabel\nsay "hi", then go\t1\tspam\nno\t2\tham\n',
    ],
    [
      'JSONL',
      'a.jsonl',
      '{"text":"say \\"hi\\", then go","label":"spam"}\n\n{"label":"ham","text":"no","more":[1]}\n',
    ],
    ['an ending in capitals', 'A.CSV', 'label,text\nspam,"say ""hi"", then go"\nham,no'],
  ])('are read from %s', async (_what, name, content) => {
    expect(await read(name, content)).toEqual({ rows, labels: ['ham', 'spam'], problems: [] });
  });

  test('are read from parquet', async () => {
    expect(await read('a.parquet', PARQUET, { text: ['sentence2', 'sentence1'] })).toEqual({
      rows: [
        { text: 'B', pair: 'A "quote"', label: 1 },
        { text: 'Two', pair: 'Zwei', label: 0 },
      ],
      labels: ['-1', '1'],
      problems: [],
    });
  });

  test('may be pairs, and may have numbers and truth values as cells', async () => {
    const lines = '{"a":1,"b":"x","label":true}\n{"a":2.5,"b":"y","label":false}\n';
    expect(await read('a.jsonl', lines, { text: ['a', 'b'] })).toEqual({
      rows: [
        { text: '1', pair: 'x', label: 1 },
        { text: '2.5', pair: 'y', label: 0 },
      ],
      labels: ['false', 'true'],
      problems: [],
    });
  });

  test('have classes of their own for numbers that a double cannot hold', async () => {
    const [a, b] = ['9007199254740992', '9007199254740993'];
    const lines = `{"text":"a","label":${a}}\n{"text":"b","label":${b}}\n`;
    expect((await read('a.jsonl', lines)).labels).toEqual([a, b]);
  });

  test('have classes in alphabetical order; in that of numbers where all are numbers', async () => {
    expect((await read('a.csv', 'text,label\na,10\nb,9\nc, 10 \nd,-1\n')).labels).toEqual([
      '-1',
      '9',
      '10',
    ]);
    expect((await read('a.csv', 'text,label\na,10\nb,9\nc,x\n')).labels).toEqual(['10', '9', 'x']);
  });

  test('take the classes that are known, whichever the file has', async () => {
    const { rows: found, labels } = await read('a.csv', 'text,label\na,c\n', {
      known: ['a', 'b', 'c'],
    });
    expect([found[0]!.label, labels]).toEqual([2, ['a', 'b', 'c']]);
  });

  test('have numbers as labels in a regression', async () => {
    const { rows: found, labels } = await read('a.tsv', 'text\tlabel\na\t-1.5e2\nb\t .5\n', {
      kind: 'regression',
    });
    expect([found.map(({ label }) => label), labels]).toEqual([[-150, 0.5], []]);
  });
});

describe('a file with problems', () => {
  test.each<[string, string[], ...Parameters<typeof read>]>([
    [
      'a column that is missing',
      ['a.csv:1: has no column "lable"; the columns are "text", "label"; did you mean "label"?'],
      'a.csv',
      'text,label\na,b\n',
      { label: 'lable' },
    ],
    [
      'a column that no line of JSON has',
      ['a.jsonl: has no column "text"; the columns are "label"'],
      'a.jsonl',
      '{"label":1}\n',
    ],
    [
      'a column that parquet lacks',
      ['a.parquet: has no column "text"; the columns are "sentence1", "sentence2", "label"'],
      'a.parquet',
      PARQUET,
    ],
    [
      'a column that is there twice',
      ['a.csv:1: has two columns "text"; column names must differ'],
      'a.csv',
      'text,text,label\na,b,c\n',
    ],
    [
      'a key that one line lacks',
      ['a.jsonl:2: has no "text"'],
      'a.jsonl',
      '{"text":"a","label":1}\n{"label":2}\n',
    ],
    [
      'texts and labels that are empty',
      [
        'a.csv:2: "text" is empty; must be text',
        'a.csv:3: "text" is empty; must be text, and "label" is empty; must be a label',
      ],
      'a.csv',
      'text,label\n ,x\n"",\nb,c\n',
    ],
    [
      'a null',
      ['a.jsonl:1: "label" is empty; must be a label'],
      'a.jsonl',
      '{"text":"a","label":null}\n',
    ],
    [
      'a cell that is no single value',
      ['a.jsonl:1: "text" is a list; must be text or a number'],
      'a.jsonl',
      '{"text":["a"],"label":1}\n',
    ],
    [
      'a word for a number',
      [
        'a.csv:3: "label" is "high"; must be a number, for example 3.5',
        'a.csv:4: "label" is "1,5"; must be a number',
      ],
      'a.csv',
      'text,label\na,1\nb,high\nc,"1,5"\n',
      { kind: 'regression' },
    ],
    [
      'a number that is no decimal',
      [
        'a.csv:2: "label" is "0x10"; must',
        'a.csv:3: "label" is "NaN"',
        'a.csv:4: "label" is "1e99"',
      ],
      'a.csv',
      'text,label\na,0x10\nb,NaN\nc,1e99\n',
      { kind: 'regression' },
    ],
    [
      'a class that is not known',
      [
        'a.csv:3: "label" is "spma", which no training row has; must be one of "ham", "spam"; ' +
          'did you mean "spam"?',
      ],
      'a.csv',
      'text,label\na,ham\nb,spma\n',
      { known: ['ham', 'spam'] },
    ],
    [
      'a class that looks like another one',
      [
        'a.csv:3: "label" is "1.0", which no training row has; must be one of "1", "yes please"; ' +
          'did you mean "1"?',
      ],
      'a.csv',
      'text,label\na,1\nb,1.0\n',
      { known: ['1', 'yes please'] },
    ],
    [
      'another number of cells',
      ['a.csv:3: has 3 cells; 2 are expected, one for each of "text", "label"'],
      'a.csv',
      'text,label\na,b\nc,d,e\n',
    ],
    [
      'semicolons between its cells',
      ['a.csv:1: has one column, "text;label": its cells are separated by ";"; must be by ","'],
      'a.csv',
      'text;label\na;b\n',
    ],
    [
      'commas and quotes in a file that is named for tabs',
      ['a.tsv:1: has one column, "\\"text\\", \\"label\\"": its cells are separated by ","'],
      'a.tsv',
      '"text", "label"\na,b\n',
    ],
    [
      'a quote that is never closed',
      ['a.csv:3: the quote that opens on line 3 is never closed'],
      'a.csv',
      'text,label\na,b\n"c,d\ne,f\n',
    ],
    [
      'a broken header',
      ['a.csv:1: the quote that opens on line 1 is never closed'],
      'a.csv',
      '"text,label\na,b\n',
    ],
    [
      'broken JSON',
      ['a.jsonl:2: is not valid JSON ('],
      'a.jsonl',
      '{"text":"a","label":1}\n{"text":"a"\n',
    ],
    [
      'JSON that is no object',
      ['a.jsonl:1: is not a JSON object; must be one with "text", "label"'],
      'a.jsonl',
      '["a",1]\n',
    ],
    [
      'a JSON list',
      ['a.jsonl:1: begins a JSON list; must be one object per line, with no list around them'],
      'a.jsonl',
      '[\n {"text":"a","label":1}\n]\n',
    ],
    [
      'some lines that end in CR alone',
      ['a.csv:1: its lines end in a carriage return alone (CR), as on old Macs; save the file'],
      'a.csv',
      'text,label\ra,b\rc,d\ne,f\n',
    ],
    ['nothing in it', ['a.csv: is empty; must have a line of column names'], 'a.csv', ''],
    ['no JSON in it', ['a.jsonl: has no rows; must have at least one'], 'a.jsonl', '\n'],
    ['no rows', ['a.tsv: has no rows; must have at least one'], 'a.tsv', 'text\tlabel\n'],
    [
      'another encoding',
      ['a.csv:3: is not UTF-8; save the file as UTF-8'],
      'a.csv',
      Buffer.from('text,label\na,b\ncaf\xe9,c\nd,e\n', 'latin1'),
    ],
    [
      'no parquet',
      ['a.parquet: is not a parquet file: it begins with "text"'],
      'a.parquet',
      'text',
    ],
    [
      'another ending',
      ['a.txt: has an unknown format; must end in .csv, .tsv, .jsonl, .parquet'],
      'a.txt',
      'text',
    ],
  ])('is told of %s', async (_what, expected, ...request) => {
    const found = await problems(...request);
    expect(found).toHaveLength(expected.length);
    for (const [i, message] of expected.entries()) expect(found[i]).toContain(message);
  });

  test('is told of a text that is too large to be read, and what may be larger', async () => {
    const path = join(folder, 'large.csv');
    writeFileSync(path, 'text,label\n');
    // A hole in the file: it takes no disk.
    truncateSync(path, constants.MAX_STRING_LENGTH + 1);
    const reading = readOwnRows(
      path,
      { kind: 'classification', columns: { text: ['text'], label: 'label' } },
      null,
    );
    await expect(reading).rejects.toThrow(
      new RegExp(
        'large\\.csv: cannot be read: \\d+ MB, but a text file may have at most \\d+ MB; ' +
          'use a \\.parquet file instead',
      ),
    );
  });

  test('is told of 20 problems at most, and how many more there are', async () => {
    const found = await problems('a.csv', `text,label\n${',x\n'.repeat(25)}`);
    expect(found).toHaveLength(21);
    expect(found.at(-1)).toBe('a.csv: and 5 more rows');
  });
});
