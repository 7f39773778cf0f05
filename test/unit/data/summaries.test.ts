import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSummaries, readTexts } from '../../../orchestrator/data/summaries';
import { PARQUET } from '../support/parquet';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-summaries-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
const said = (problems: readonly { where: string; message: string }[]) =>
  problems.map(({ where, message }) => `${where}: ${message}`.replace(`${folder}/`, ''));

describe('the rows of a summarization task', () => {
  test("are XSum's documents and summaries, from CSV and JSONL", async () => {
    const rows = [{ document: 'A mill,\n"old".', summary: 'Mill.' }];
    const csv = write('x.csv', 'id,document,summary\r\n7,"A mill,\n""old"".",Mill.\r\n');
    expect(await readSummaries(csv, 'xsum')).toEqual({ rows, problems: [] });
    const jsonl = write('x.jsonl', '{"summary":"Mill.","document":"A mill,\\n\\"old\\".","id":7}\n');
    expect(await readSummaries(jsonl, 'xsum')).toEqual({ rows, problems: [] });
  });

  test("are CNN/DailyMail's articles and highlights", async () => {
    const csv = write('c.csv', 'article,highlights\n"Long, long.","One .\nTwo ."\n');
    expect((await readSummaries(csv, 'cnn_dailymail')).rows).toEqual([{ document: 'Long, long.', summary: 'One .\nTwo .' }]);
  });

  test('that have no text are named by file and line and left out', async () => {
    const jsonl = write(
      'p.jsonl',
      '{"document":"","summary":"x"}\n{"document":"d","summary":" "}\n{"document":["d"]}\n{"document":"d","summary":"s"}',
    );
    const { rows, problems } = await readSummaries(jsonl, 'xsum');
    expect(rows).toEqual([{ document: 'd', summary: 's' }]);
    expect(said(problems)).toEqual([
      'p.jsonl:1: "document" is empty; a text is expected',
      'p.jsonl:2: "summary" is empty; a text is expected',
      'p.jsonl:3: "document" is a list; a text is expected, and has no "summary"',
    ]);
  });

  test('with more than 20 problems have the others counted', async () => {
    const { problems } = await readSummaries(write('m.csv', `document,summary\n${'d,\n'.repeat(22)}`), 'xsum');
    expect(said(problems).slice(19)).toEqual(['m.csv:21: "summary" is empty; a text is expected', 'm.csv: and 2 more rows']);
  });

  test('of another task are refused by the columns that are missing', async () => {
    const csv = write('w.csv', 'article,highlights\na,b\n');
    await expect(readSummaries(csv, 'xsum')).rejects.toThrow(/w\.csv:1: has no column "document"; there are "article", "highlights"/);
  });
});

describe('one column of texts', () => {
  test('is read from parquet too', async () => {
    expect(await readTexts(write('t.parquet', PARQUET), 'sentence2', false)).toEqual(['B', 'Two']);
  });

  test('may have empty ones where that is allowed, but must have each', async () => {
    const csv = write('e.csv', 'summary,x\n,1\ns,2\n');
    expect(await readTexts(csv, 'summary', true)).toEqual(['', 's']);
    await expect(readTexts(csv, 'summary', false)).rejects.toThrow(/e\.csv:2: "summary" is empty; a text is expected/);
    const jsonl = write('e.jsonl', '{"summary":"a"}\n{"summary":null}\n{}\n');
    await expect(readTexts(jsonl, 'summary', true)).rejects.toThrow(/e\.jsonl:2: "summary" is empty.*\n.*e\.jsonl:3: has no "summary"/);
  });
});
