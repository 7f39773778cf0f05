/** What is no file is named, and never waited for. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkFilesExist } from '../../../orchestrator/datasets/own-files';
import { describeBackbone } from '../../../orchestrator/runtime/backbone-files';
import { readText } from '../../../orchestrator/tables/text';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-odd-files-'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  mkdirSync(join(folder, 'folder'));
  writeFileSync(join(folder, 'file'), '');
});
afterEach(() => rmSync(folder, { recursive: true }));

it('a table', () => {
  const read = (name: string) => () => readText(join(folder, name));
  expect(read('pipe')).toThrow(/pipe: is a pipe or a device, not a file/);
  expect(read('folder')).toThrow(/folder: is a folder, not a file/);
  expect(read('none')).toThrow(/none: there is no such file/);
});

it('the files of an own task, each by itself', () => {
  const files = { train: join(folder, 'pipe'), validation: join(folder, 'none') };
  expect(() => checkFilesExist('mine', { origin: 's.yaml:2', files })).toThrow(
    `s.yaml:2: mine: train: ${files.train} is a pipe or a device, not a file\n` +
      `s.yaml:2: mine: validation: there is no file ${files.validation}`,
  );
  const good = { train: join(folder, 'file'), validation: join(folder, 'file') };
  expect(() => checkFilesExist('mine', { origin: 's.yaml:2', files: good })).not.toThrow();
});

it('a file of a backbone', async () => {
  const base = join(folder, 'folder');
  execFileSync('mkfifo', [join(base, 'config.json')]);
  await expect(describeBackbone('base', base)).rejects.toThrow(
    `${base}/config.json is a pipe or a device, not a file`,
  );
});
