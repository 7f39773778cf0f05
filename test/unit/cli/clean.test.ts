/** Folders in which `sa-orch clean` removes nothing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { artifactRootId } from '../../../common/files';
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
