/** Parquet files of the writers that people use; parquet/make_files.py made them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../orchestrator/base/errors';
import { readTable } from '../../../orchestrator/tables/table';

const FILES = join(__dirname, 'parquet');
const folder = mkdtempSync(join(tmpdir(), 'sa-orch-parquet-'));
afterAll(() => rmSync(folder, { recursive: true }));

const WRITTEN = readdirSync(FILES).filter((name) => /^(pyarrow|pandas|polars|duckdb)/.test(name));

async function readLabels(name: string): Promise<unknown[]> {
  const rows = await readTable(join(FILES, `${name}.parquet`), ['label']);
  return rows.map(({ cells, problem }) => problem ?? cells[0]);
}

/** What is said of a file, without its folder. */
async function refusal(path: string): Promise<string> {
  try {
    await readTable(path, ['text', 'label']);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replace(/^[^:]*\//, '');
    throw error;
  }
  throw new Error('was not refused');
}

describe('a parquet file', () => {
  test.each(WRITTEN)('is read as its writer and codec left it: %s', async (name) => {
    const rows = await readTable(join(FILES, name), ['text', 'label']);
    expect(rows.map(({ cells }) => cells)).toEqual([
      ['a', 'x'],
      ['b', 'y'],
      ['ä', 'x'],
      ['d', 'y'],
    ]);
  });

  test.each([
    ['int8', [0, 1, 127, null]],
    ['uint8', [0, 1, 255, null]],
    ['int16', [0, 1, 32767, null]],
    ['uint16', [0, 1, 65535, null]],
    ['int32', [0, 1, 2147483647, null]],
    ['uint32', [0, 1, 4294967295, null]],
    ['int64', [0n, 1n, 9223372036854775807n, null]],
    ['uint64', [0n, 1n, 18446744073709551615n, null]],
    ['float64', [1, 2.5, null, null]],
    ['bool', [true, false, true, null]],
    ['decimal', [0.3, -2, 1.1, 3.333]],
    [
      'long-decimal',
      [
        '12345678901234567890.1',
        '12345678901234567890.11',
        '12345678901234567890.12',
        '12345678901234567890.13',
      ],
    ],
    ['binary', ['x', '"label" is not UTF-8; must be text in UTF-8', null, 'y']],
  ])('has cells of its type, and empty ones for null and NaN: %s', async (type, cells) => {
    expect(await readLabels(`type-${type}`)).toEqual(cells);
  });

  test.each([
    ['type-timestamp', 'column "label" holds points in time; must hold text, numbers, or true'],
    ['type-date', 'column "label" holds dates; must hold'],
    ['type-list', 'column "label" is nested (it holds lists); must hold'],
    ['type-struct', 'column "label" is nested (it holds structs); must hold'],
    ['same-name', 'has two columns "label"; column names must differ'],
    ['no-rows', 'has no rows; must have at least one'],
  ])('is refused with its column: %s', async (name, message) => {
    expect(await refusal(join(FILES, `${name}.parquet`))).toContain(`${name}.parquet: ${message}`);
  });

  test('is not asked for more than the wanted columns', async () => {
    const path = join(FILES, 'type-struct.parquet');
    expect(await readTable(path, ['text'])).toHaveLength(4);
  });

  const WHOLE = readFileSync(join(FILES, 'pyarrow-snappy.parquet'));
  const broken = Buffer.from(WHOLE);
  broken.fill(0xff, 8, 60);
  test.each([
    ['empty', Buffer.alloc(0), 'is empty; must be a parquet file'],
    ['cut off', WHOLE.subarray(0, -20), 'is incomplete, its end is missing'],
    ['CSV', Buffer.from('text,label\na,x\n'), 'is not a parquet file: it begins with "text,label'],
    ['damaged inside', broken, 'is not a readable parquet file: column "text": '],
    [
      'not fetched',
      Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n'),
      'is a Git LFS pointer, not the file itself; run "git lfs pull" first',
    ],
  ])('that is %s is named as such', async (_what, content, message) => {
    const path = join(folder, 'x.parquet');
    writeFileSync(path, content);
    expect(await refusal(path)).toContain(`x.parquet: ${message}`);
  });

  test('that is not there is named', async () => {
    expect(await refusal(join(folder, 'none.parquet'))).toContain(
      'none.parquet: there is no such file',
    );
  });
});
