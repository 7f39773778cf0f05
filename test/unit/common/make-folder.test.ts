import { existsSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from '../../../common/make-folder';

const place = mkdtempSync(join(tmpdir(), 'sa-orch-make-folder-'));

test('makes a folder with those that it is in, and again changes nothing', () => {
  const path = join(place, 'a', 'b', 'c');
  makeFolder(path, 0o700);
  makeFolder(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  makeFolder(place);
  makeFolder('/');
});

test('a file in the way is the system’s error', () => {
  const file = join(place, 'file');
  writeFileSync(file, '');
  expect(() => makeFolder(file)).toThrow(/EEXIST/);
  expect(() => makeFolder(join(file, 'folder'))).toThrow(/ENOTDIR/);
});

(existsSync('/proc') ? test : test.skip)('what cannot be made in /proc ends', () => {
  expect(() => makeFolder('/proc/no-such-place/below')).toThrow(/ENOENT/);
});
