/** Folders in which `sa-orch clean` removes nothing. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { artifactRootId } from '../../../common/files';
import { packageRoot } from '../../../common/package';
import { refuseForeignFolder } from '../../../orchestrator/cli/clean';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-clean-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a folder that is no artifact root is refused, and so is the whole file system', () => {
  const no = new RegExp(`${folder} is no artifact root: it has no file .root-id`);
  expect(() => refuseForeignFolder(folder)).toThrow(no);
  expect(() => refuseForeignFolder('/')).toThrow('/ holds more than an artifact root');
});

test('an artifact root, or one that was removed, is not', () => {
  artifactRootId(folder);
  expect(() => refuseForeignFolder(folder)).not.toThrow();
  expect(() => refuseForeignFolder(join(folder, 'none'))).not.toThrow();
});

test('without a terminal --yes is needed only if there is something to remove', () => {
  artifactRootId(folder);
  const command = join(packageRoot(), 'bin', 'sa-orch.js');
  const places = ['--root', folder, '--state-dir', join(folder, 'state')];
  const clean = (...more: string[]) =>
    spawnSync(process.execPath, [command, 'clean', ...places, ...more], {
      ...{ encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    });
  expect(clean()).toMatchObject({ status: 0, stdout: `nothing to remove under ${folder}\n` });
  expect(JSON.parse(clean('--json').stdout)).toMatchObject({ found: [], removed: [] });
  const leftover = join(folder, 'datasets', '.d.01234567-89ab-cdef-0123-456789abcdef');
  mkdirSync(join(folder, 'datasets'));
  writeFileSync(leftover, 'half');
  utimesSync(leftover, 1, 1);
  expect(clean()).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('removing needs --yes without a terminal') as string,
  });
});
