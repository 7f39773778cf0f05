import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { librarySources, missingTools } from '../../../orchestrator/runtime/tensorflow-environment';

const linux = { platform: 'linux', arch: 'x64', hasGpu: false, canDownload: true };

test('what the npm package brings comes before the wheel, and is not tried where its host does not answer', () => {
  expect(librarySources({}, linux)).toEqual([{ kind: 'download', gpu: false }, { kind: 'wheel' }]);
  expect(librarySources({}, { ...linux, canDownload: false })).toEqual([{ kind: 'wheel' }]);
});

test('a library that the user names is the only one', () => {
  expect(librarySources({ TFJS_LIBTENSORFLOW: '/opt/tf' }, linux)).toEqual([{ kind: 'existing', folder: '/opt/tf' }]);
});

test('with a GPU the build for it comes first', () => {
  expect(librarySources({}, { ...linux, hasGpu: true })[0]).toEqual({ kind: 'download', gpu: true });
});

test('where the wheel has no build for the machine nothing is left without a download', () => {
  expect(librarySources({}, { ...linux, platform: 'darwin', canDownload: false })).toEqual([]);
});

test('every missing tool is named with the way to get it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sa-orch-tools-'));
  try {
    for (const name of ['npm', 'python3']) {
      writeFileSync(join(folder, name), '');
      chmodSync(join(folder, name), 0o755);
    }
    expect(missingTools({ PATH: folder })).toEqual([
      'a C++ compiler is not on PATH (Debian, Ubuntu: apt install g++)',
      'make is not on PATH (Debian, Ubuntu: apt install make)',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
