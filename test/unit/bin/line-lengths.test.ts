/** eslint and ruff hold code to 100 columns; this holds what they do not read. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../common/package';

const MOST = 100;

test.each([
  ['configs', '.yaml'],
  ['proto/sparse_adapter', '.proto'],
])('lines in %s have at most 100 columns', (folder, ending) => {
  const all = readdirSync(join(packageRoot(), folder), { recursive: true, encoding: 'utf8' });
  const files = all.filter((name) => name.endsWith(ending));
  expect(files).not.toEqual([]);
  const longer = files.flatMap((file) =>
    readFileSync(join(packageRoot(), folder, file), 'utf8')
      .split('\n')
      .flatMap((line, i) => ([...line].length > MOST ? [`${file}:${i + 1}`] : [])),
  );
  expect(longer).toEqual([]);
});
