import { mkdtempSync, rmSync } from 'node:fs';
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
