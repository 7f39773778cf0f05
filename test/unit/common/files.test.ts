import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { artifactRootId, createFileOnce, writeFileAtomic } from '../../../common/files';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('files that are whole or absent', () => {
  it('replaces a file and leaves no temporary file behind', () => {
    const path = join(folder, 'a', 'state.json');
    writeFileAtomic(path, 'one');
    writeFileAtomic(path, 'two');
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(readdirSync(join(folder, 'a'))).toEqual(['state.json']);
  });

  it('creates a file for the first of two only, and the second does not change it', () => {
    const path = join(folder, 'once');
    expect(createFileOnce(path, 'first')).toBe(true);
    expect(createFileOnce(path, 'second')).toBe(false);
    expect(readFileSync(path, 'utf8')).toBe('first');
  });

  it('gives an artifact root one id for ever', () => {
    const id = artifactRootId(folder);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(artifactRootId(folder)).toBe(id);
  });
});
