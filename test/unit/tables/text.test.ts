/** Text files in the encodings, with the line ends and of the formats that people save. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLines, readText } from '../../../orchestrator/tables/text';
import { readTable } from '../../../orchestrator/tables/table';
import { readGlueTsv } from '../../../orchestrator/tasks/rows/glue-tsv';
import { findGlueTask } from '../../../orchestrator/tasks/rows/published';

const folder = mkdtempSync(join(tmpdir(), 'sa-orch-text-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(content: string | Buffer, name = 'x.tsv'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const ROWS = 'sentence\tlabel\nfine\t1\ncafé\t0\n';
const BIG_ENDIAN = Buffer.from(`\uFEFF${ROWS}`, 'utf16le').swap16();

const NOT_UTF8: [string, Buffer, string][] = [
  ['Latin-1', Buffer.from(ROWS, 'latin1'), ':3: is not UTF-8; save the file as UTF-8'],
  ['UTF-16', Buffer.from(`\uFEFF${ROWS}`, 'utf16le'), ':1: is not UTF-8; save the file as UTF-8'],
  ['UTF-16, big-endian', BIG_ENDIAN, ':1: is not UTF-8; save the file as UTF-8 (it is UTF-16)'],
  [
    'UTF-16 without a byte-order mark',
    Buffer.from(ROWS.replace('é', 'e'), 'utf16le'),
    ':1: is not UTF-8; save the file as UTF-8 (it is UTF-16)',
  ],
  ['lines that end in CR alone', Buffer.from(ROWS.replaceAll('\n', '\r')), ':1: its lines end in'],
];

describe('a text file', () => {
  test.each(NOT_UTF8)('of GLUE is refused with the line: %s', (_what, content, message) => {
    const path = write(content);
    expect(() => readGlueTsv(path, findGlueTask('sst2'))).toThrow(`${path}${message}`);
  });

  test.each(['x.tsv', 'x.csv', 'x.jsonl'])("of one's own is refused alike: %s", async (name) => {
    for (const [, content, message] of NOT_UTF8) {
      const path = write(content, name);
      await expect(readTable(path, ['sentence'])).rejects.toThrow(`${path}${message}`);
    }
  });

  test.each([
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0]), 'is compressed (gzip); must be a text file'],
    ['Excel', Buffer.from('PK\x03\x04'), 'is a zip archive or an Excel file; must be a text file'],
    ['parquet', Buffer.from('PAR1'), 'is a parquet file; must be a text file'],
    [
      'a pointer of Git LFS',
      Buffer.from('version https://git-lfs.github.com/spec/v1\n'),
      'is a Git LFS pointer, not the file itself',
    ],
  ])('that is something else is named as such: %s', (_what, content, message) => {
    const path = write(content);
    expect(() => readText(path)).toThrow(`${path}: ${message}`);
  });

  test('may begin with a byte-order mark, have CR inside its lines, and need not end', () => {
    expect(readLines(write('\uFEFFa\rb\r\n\uFEFFc'))).toEqual(['a\rb', '\uFEFFc']);
    expect(readLines(write(''))).toEqual([]);
  });
});
