import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { artifactRootId } from '../../../common/files';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('gives an artifact root one id for ever', () => {
  const id = artifactRootId(folder);
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  expect(artifactRootId(folder)).toBe(id);
});

test.each([
  [0o755, 0o644],
  [0o750, 0o640],
  [0o700, 0o600],
])('the id of a root with mode %i is readable by whoever may read the root', (mode, expected) => {
  chmodSync(folder, mode);
  const umask = process.umask(0o077);
  artifactRootId(folder);
  process.umask(umask);
  expect(statSync(join(folder, '.root-id')).mode & 0o777).toBe(expected);
});
