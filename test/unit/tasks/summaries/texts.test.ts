import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSummaries, readTexts } from '../../../../orchestrator/tasks/summaries/texts';
import { SUMMARY_COLUMNS } from '../../../../orchestrator/tasks/summaries/published';
import { PARQUET } from '../../support/parquet';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-summaries-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
const { xsum: XSUM, cnn_dailymail: CNN } = SUMMARY_COLUMNS;

describe('the rows of a summarization task', () => {
  test("are XSum's documents and summaries, from CSV and JSONL, with their numbers", async () => {
    const rows = [{ row: 1, document: 'A mill,\n"old".', summary: 'Mill.' }];
    const csv = write('x.csv', 'id,document,summary\r\n7,"A mill,\n""old"".",Mill.\r\n');
    expect(await readSummaries(csv, XSUM, 'refuse')).toEqual({ rows, leftOut: 0 });
    const jsonl = write(
      'x.jsonl',
      '{"summary":"Mill.","document":"A mill,\\n\\"old\\".","id":7}\n',
    );
    expect(await readSummaries(jsonl, XSUM, 'refuse')).toEqual({ rows, leftOut: 0 });
  });

  test("are CNN/DailyMail's articles and highlights", async () => {
    const csv = write('c.csv', 'article,highlights\n"Long, long.","One .\nTwo ."\n');
    expect((await readSummaries(csv, CNN, 'refuse')).rows).toEqual([
      { row: 1, document: 'Long, long.', summary: 'One .\nTwo .' },
    ]);
  });

  test('are those of all shards of a file, numbered through', async () => {
    const columns = { document: 'sentence1', summary: 'sentence2' };
    const first = write('s-00000-of-00002.parquet', PARQUET);
    await expect(readSummaries(first, columns, 'refuse')).rejects.toThrow(
      's-00001-of-00002.parquet: there is no such file',
    );
    write('s-00001-of-00002.parquet', PARQUET);
    const { rows } = await readSummaries(first, columns, 'refuse');
    expect(rows.map(({ row, summary }) => [row, summary])).toEqual([
      [1, 'B'],
      [2, 'Two'],
      [3, 'B'],
      [4, 'Two'],
    ]);
  });

  const EMPTY =
    '{"document":"","summary":"x"}\n{"document":"d","summary":" ' +
    '"}\n{"document":"d","summary":"s"}\n{"document":null,"summary":"s"}';

  test('with an empty text are left out and counted if published; row numbers stay', async () => {
    expect(await readSummaries(write('p.jsonl', EMPTY), XSUM, 'leave out')).toEqual({
      rows: [{ row: 3, document: 'd', summary: 's' }],
      leftOut: 3,
    });
  });

  test("are named by file and line where a text is empty and they are the user's own", async () => {
    const problems = ['1: "document"', '2: "summary"', '4: "document"'].map(
      (place) => `.*p\\.jsonl:${place} is empty; must be text`,
    );
    await expect(readSummaries(write('p.jsonl', EMPTY), XSUM, 'refuse')).rejects.toThrow(
      new RegExp(problems.join('\n')),
    );
  });

  test('that are broken in another way are named, wherever they come from', async () => {
    const jsonl = write('b.jsonl', '{"document":["d"]}\n{"document":"d","summary":"s"}');
    await expect(readSummaries(jsonl, XSUM, 'leave out')).rejects.toThrow(
      'b.jsonl:1: "document" is a list; must be text, and has no "summary"',
    );
  });

  test('that are all empty are no data set', async () => {
    const csv = write('n.csv', 'document,summary\nd,\n');
    await expect(readSummaries(csv, XSUM, 'leave out')).rejects.toThrow(
      'n.csv: has no row with text in both "document" and "summary"',
    );
  });

  test('with more than 20 problems have the others counted', async () => {
    const csv = write('m.csv', `document,summary\n${'d,\n'.repeat(22)}`);
    await expect(readSummaries(csv, XSUM, 'refuse')).rejects.toThrow(
      /m\.csv:21: "summary" is empty; must be text\n.*m\.csv: and 2 more rows$/,
    );
  });

  test('of another task are refused by the columns that are missing', async () => {
    const csv = write('w.csv', 'article,highlights\na,b\n');
    await expect(readSummaries(csv, XSUM, 'refuse')).rejects.toThrow(
      /w\.csv:1: has no column "document"; the columns are "article", "highlights"/,
    );
  });
});

describe('one column of texts', () => {
  test('is read from parquet too', async () => {
    expect(await readTexts(write('t.parquet', PARQUET), 'sentence2', false)).toEqual(['B', 'Two']);
  });

  test('may have empty ones where that is allowed, but must have each', async () => {
    const csv = write('e.csv', 'summary,x\n,1\ns,2\n');
    expect(await readTexts(csv, 'summary', true)).toEqual(['', 's']);
    await expect(readTexts(csv, 'summary', false)).rejects.toThrow(
      /e\.csv:2: "summary" is empty; must be text/,
    );
    const jsonl = write('e.jsonl', '{"summary":"a"}\n{"summary":null}\n{}\n');
    await expect(readTexts(jsonl, 'summary', true)).rejects.toThrow(
      /e\.jsonl:2: "summary" is empty.*\n.*e\.jsonl:3: has no "summary"/,
    );
    await expect(readTexts(write('c.csv', 'summary\na, b\n'), 'summary', true)).rejects.toThrow(
      'c.csv:2: has 2 cells; 1 is expected, for "summary"',
    );
  });
});
