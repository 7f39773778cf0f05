import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../common/package';
import {
  artifactRoot,
  cacheDirectory,
  socketPath,
  stateDirectory,
} from '../../../orchestrator/runtime/paths';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-paths-'));
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
