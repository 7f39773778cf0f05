import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
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

  it.each(['', 'relative'])('needs a home for the cache, or another name for it: %j', (HOME) => {
    expect(() => cacheDirectory({ HOME })).toThrow('there is no home directory');
    expect(cacheDirectory({ HOME, SA_ORCH_CACHE: '/d' })).toBe('/d');
    expect(cacheDirectory({ HOME: '/h' })).toBe('/h/.cache/sa-orch');
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

  describe('without a usable XDG_RUNTIME_DIR', () => {
    const fallback = new RegExp(`^/tmp/sa-orch-${process.getuid!()}/[0-9a-f]{12}/trainer.sock$`);
    const inFolder = (runtime: string | undefined) =>
      socketPath('/s', 'trainer.sock', { XDG_RUNTIME_DIR: runtime });

    it.each([
      ['is not set', () => undefined],
      ['is empty', () => ''],
      ['does not exist, as after the end of a session', () => join(folder, 'gone')],
      ['is a file', () => write(join(folder, 'file'))],
      [
        'makes a path of more than 107 bytes, which Node would cut off',
        () => make('x'.repeat(100)),
      ],
      ['has a folder that others can write to', () => openTo(0o777)],
    ])('takes a private folder in /tmp: it %s', (_, prepare) => {
      expect(inFolder(prepare())).toMatch(fallback);
    });

    const isRoot = process.getuid!() === 0;
    (isRoot ? it : it.skip)('takes a private folder in /tmp: it is that of another user', () => {
      const other = make('other');
      mkdirSync(join(other, 'sa-orch'));
      chownSync(join(other, 'sa-orch'), 65534, 65534);
      expect(inFolder(other)).toMatch(fallback);
    });
  });

  function make(name: string): string {
    mkdirSync(join(folder, name));
    return join(folder, name);
  }
  function write(path: string): string {
    writeFileSync(path, '');
    return path;
  }
  function openTo(mode: number): string {
    mkdirSync(join(folder, 'sa-orch'));
    chmodSync(join(folder, 'sa-orch'), mode);
    return folder;
  }
});
