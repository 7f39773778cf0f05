import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ensureTensorflowEnvironment,
  findLibrary,
  librarySources,
  missingTools,
  neededDownloads,
} from '../../../orchestrator/runtime/tensorflow-environment';

const linux = { platform: 'linux', arch: 'x64', hasGpu: false, canDownload: true };

test('the npm package’s library comes before the wheel, unless its host does not answer', () => {
  expect(librarySources({}, linux)).toEqual([{ kind: 'download', gpu: false }, { kind: 'wheel' }]);
  expect(librarySources({}, { ...linux, canDownload: false })).toEqual([{ kind: 'wheel' }]);
});

test('a library that the user names is the only one', () => {
  expect(librarySources({ TFJS_LIBTENSORFLOW: '/opt/tf' }, linux)).toEqual([
    { kind: 'existing', folder: '/opt/tf' },
  ]);
});

test('with a GPU the build for it comes first', () => {
  expect(librarySources({}, { ...linux, hasGpu: true })[0]).toEqual({
    kind: 'download',
    gpu: true,
  });
});

test('where the wheel has no build for the machine nothing is left without a download', () => {
  expect(librarySources({}, { ...linux, platform: 'darwin', canDownload: false })).toEqual([]);
});

describe('on a machine that lacks things', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sa-orch-tools-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const program = (name: string, script: string) =>
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });

  test('every missing tool is named with the remedy, also a Python that does not run', async () => {
    program('npm', '');
    program('python3', 'echo "shim: no such version" >&2; exit 127');
    expect(await missingTools({ PATH: folder })).toEqual([
      'a C++ compiler is not on PATH (Debian, Ubuntu: apt install g++)',
      'make is not on PATH (Debian, Ubuntu: apt install make)',
      'Python, which node-gyp needs, is not on PATH (Debian, Ubuntu: apt install python3)',
    ]);
  });

  test('downloads from outside a package registry are named, with a way around them', async () => {
    const library = expect.stringMatching(
      /C library, from storage\.googleapis\.com: neither uv nor .* Or TFJS_LIBTENSORFLOW=/,
    ) as string;
    expect(await neededDownloads({ PATH: folder })).toContainEqual(library);
    expect(
      await neededDownloads({ PATH: folder, TFJS_LIBTENSORFLOW: '/opt/tf' }),
    ).not.toContainEqual(library);
    program('uv', '');
    expect(await neededDownloads({ PATH: folder })).not.toContainEqual(library);
  });

  test('a library that the user names is looked at before anything is set up', async () => {
    expect(() => findLibrary(folder)).toThrow(
      `TFJS_LIBTENSORFLOW: ${folder} has no libtensorflow in lib/`,
    );
    mkdirSync(join(folder, 'lib'));
    writeFileSync(join(folder, 'lib', 'libtensorflow.so.2'), '');
    expect(() => findLibrary(folder)).toThrow(
      `TFJS_LIBTENSORFLOW: ${folder} has no include/tensorflow/c/c_api.h`,
    );
    mkdirSync(join(folder, 'include', 'tensorflow', 'c'), { recursive: true });
    writeFileSync(join(folder, 'include', 'tensorflow', 'c', 'c_api.h'), '');
    expect(findLibrary(folder)).toEqual({
      lib: join(folder, 'lib'),
      include: join(folder, 'include'),
    });
    const env = { PATH: process.env.PATH, XDG_CACHE_HOME: folder, TFJS_LIBTENSORFLOW: '/none' };
    await expect(
      ensureTensorflowEnvironment({ onProgress: () => undefined, env }),
    ).rejects.toMatchObject({
      exitCode: 2,
      message: 'TFJS_LIBTENSORFLOW: /none has no libtensorflow in lib/',
    });
  });
});
