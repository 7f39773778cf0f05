import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLog, readLog, rotateLog, tailLog } from '../../../orchestrator/runtime/log-file';
import { packageRoot } from '../../../common/package';
import {
  artifactRoot,
  cacheDirectory,
  socketPath,
  stateDirectory,
} from '../../../orchestrator/runtime/paths';
import { compareVersions } from '../../../orchestrator/runtime/trainer-environment';
import { isCudaOnly, parseRequirements } from '../../../orchestrator/runtime/requirements';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-files-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('paths', () => {
  it('takes the option before the variable before the default', () => {
    expect(stateDirectory('/x', { SA_ORCH_STATE: '/y' })).toBe('/x');
    expect(stateDirectory(undefined, { SA_ORCH_STATE: '/y' })).toBe('/y');
    expect(stateDirectory(undefined, {})).toBe(join(process.cwd(), '.sa-orch'));
    expect(artifactRoot(undefined, {})).toBe(join(process.cwd(), 'checkpoints'));
    expect(cacheDirectory({ XDG_CACHE_HOME: '/c' })).toBe('/c/sa-orch');
    expect(cacheDirectory({ XDG_CACHE_HOME: '/c', SA_ORCH_CACHE: '/d' })).toBe('/d');
  });

  it('finds the folder of package.json', () => {
    expect(JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'))).toMatchObject({
      name: 'sa-orch',
    });
  });

  it('gives two state directories two sockets, short however long their own paths are', () => {
    const env = { XDG_RUNTIME_DIR: folder };
    const deep = `/${'deep/'.repeat(60)}`;
    const path = socketPath(deep, 'trainer.sock', env);
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(107);
    expect(socketPath('/other', 'trainer.sock', env)).not.toBe(path);
  });

  it('refuses a socket path of more than 107 bytes, which Node would cut off', () => {
    const long = join(folder, 'x'.repeat(100));
    mkdirSync(long);
    expect(() => socketPath('/s', 'trainer.sock', { XDG_RUNTIME_DIR: long })).toThrow(
      /more than 107 bytes/,
    );
  });

  it('refuses a socket folder that others can write to', () => {
    mkdirSync(join(folder, 'sa-orch'));
    chmodSync(join(folder, 'sa-orch'), 0o777);
    expect(() => socketPath('/s', 'trainer.sock', { XDG_RUNTIME_DIR: folder })).toThrow(
      /only you can write to/,
    );
  });
});

describe('logs', () => {
  it('begins at the end of what is there, so that a tail shows the present process only', () => {
    const path = join(folder, 'worker.log');
    writeFileSync(path, 'old line\n');
    const { offset } = openLog(path);
    writeFileSync(path, 'new line 1\nnew line 2\n', { flag: 'a' });
    expect(tailLog(path, 5, offset)).toEqual(['new line 1', 'new line 2']);
    expect(tailLog(path, 1)).toEqual(['new line 2']);
    expect(readLog(join(folder, 'missing.log'), 0, 100)).toBe('');
  });

  it('keeps a limited number of rotated logs, and the writer goes on at the start of the emptied file', () => {
    const path = join(folder, 'trainer.log');
    const { descriptor } = openLog(path);
    for (const round of ['1', '2', '3', '4']) {
      writeFileSync(descriptor, round.repeat(100));
      expect(rotateLog(path, 99, 2)).toBe(true);
    }
    writeFileSync(descriptor, 'now');
    expect(rotateLog(path, 99, 2)).toBe(false);
    expect(readdirSync(folder).sort()).toEqual(['trainer.log', 'trainer.log.1', 'trainer.log.2']);
    expect(readFileSync(path, 'utf8')).toBe('now');
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('4'.repeat(100));
    expect(readFileSync(`${path}.2`, 'utf8')).toBe('3'.repeat(100));
  });
});

describe('requirement files', () => {
  const requirements = (file: string) =>
    parseRequirements(readFileSync(join(packageRoot(), 'trainer', 'torch', file), 'utf8'));

  it.each(['requirements.txt', 'requirements-test.txt'])(
    '%s pins every package with a hash and names no address',
    (file) => {
      const found = requirements(file);
      expect(found.length).toBeGreaterThan(20);
      for (const { text } of found) expect(text).toMatch(/--hash=sha256:[0-9a-f]{64}/);
      expect(found.map(({ text }) => text).join('\n')).not.toContain('://');
    },
  );

  it('agree with each other on what both have', () => {
    const versions = (file: string) =>
      new Map(
        requirements(file).map(({ name, version, text }) => [
          name + (/;.*/.exec(text)?.[0] ?? ''),
          version,
        ]),
      );
    const trainer = versions('requirements.txt');
    for (const [name, version] of versions('requirements-test.txt'))
      expect([name, trainer.get(name) ?? version]).toEqual([name, version]);
  });

  it('know what the CPU build of PyTorch does without', () => {
    const cuda = requirements('requirements.txt')
      .map(({ name }) => name)
      .filter(isCudaOnly);
    expect(cuda).toEqual(expect.arrayContaining(['nvidia-cudnn-cu13', 'cuda-bindings', 'triton']));
    expect(cuda).not.toContain('torch');
  });

  it('refuse a line without a version', () => {
    expect(() => parseRequirements('torch>=2\n')).toThrow('not a pinned requirement: torch>=2');
  });

  it('are compared as versions, not as text', () => {
    expect(compareVersions('2.9', '2.11')).toBeLessThan(0);
    expect(compareVersions('2.15.0+cpu', '2.15')).toBe(0);
    expect(compareVersions('5.23.0', '5.17')).toBeGreaterThan(0);
  });
});
