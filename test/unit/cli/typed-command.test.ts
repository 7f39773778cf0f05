/** The form of printed commands, by how the program was typed. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../common/package';
import {
  nameCommands,
  namePlaces,
  nameProgram,
  typedPlaces,
  writeAsTyped,
  type Typing,
} from '../../../orchestrator/cli/typed-command';

const MAIN = join(packageRoot(), 'bin', 'sa-orch.js');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-typed-'));
  nameCommands(['watch', 'status', 'up', 'score']);
});
afterAll(() => rmSync(folder, { recursive: true }));

const typing = (main: string, changes: Partial<Typing> = {}): Typing => ({
  argv: ['/usr/bin/node', main],
  argv0: 'node',
  execArgv: [],
  env: {},
  cwd: packageRoot(),
  ...changes,
});

/** A link to the program, as npm makes them. */
function link(...parts: string[]): string {
  const path = join(folder, ...parts);
  mkdirSync(join(path, '..'), { recursive: true });
  symlinkSync(MAIN, path);
  return path;
}

describe('the program is named', () => {
  test('with node and the shorter path, if node ran it', () => {
    expect(nameProgram(typing(MAIN))).toBe('node bin/sa-orch.js');
    expect(nameProgram(typing(MAIN, { cwd: '/tmp/a/b/c/d/e/f/g/h/i/j/k' }))).toBe(`node ${MAIN}`);
    const other = { argv0: '/opt/my node/bin/node', execArgv: ['--max-old-space-size=99'] };
    expect(nameProgram(typing(MAIN, other))).toBe(
      "'/opt/my node/bin/node' --max-old-space-size=99 bin/sa-orch.js",
    );
  });

  test('by its path alone, if a shell ran that', () => {
    expect(nameProgram(typing(MAIN, { env: { _: './bin/sa-orch.js' } }))).toBe('bin/sa-orch.js');
    const beside = { cwd: join(packageRoot(), 'bin'), env: { _: './sa-orch.js' } };
    expect(nameProgram(typing(MAIN, beside))).toBe('./sa-orch.js');
  });

  test('by its name, if a link to it is what PATH finds', () => {
    const path = link('bin', 'sa-orch');
    const env = { PATH: `/nowhere:${join(folder, 'bin')}` };
    expect(nameProgram(typing(path, { env, cwd: '/' }))).toBe('sa-orch');
    // Another program of that name comes first.
    const first = join(folder, 'other', 'sa-orch');
    mkdirSync(join(folder, 'other'));
    writeFileSync(first, '');
    chmodSync(first, 0o755);
    const hidden = { PATH: `${join(folder, 'other')}:${join(folder, 'bin')}` };
    expect(nameProgram(typing(path, { env: hidden, cwd: '/' }))).toBe(`node ${path.slice(1)}`);
  });

  test('with npx where npx finds this package, and nowhere else', () => {
    const path = link('cache', 'node_modules', '.bin', 'sa-orch');
    const env = { npm_command: 'exec' };
    expect(nameProgram(typing(path, { env }))).toBe('npx sa-orch');
    expect(nameProgram(typing(path, { env, cwd: join(packageRoot(), 'docs') }))).toBe(
      'npx sa-orch',
    );
    // There, npx would fetch whatever the registry has under this name.
    expect(nameProgram(typing(path, { env, cwd: folder }))).toMatch(/^node \S+bin\/sa-orch\.js$/);
    mkdirSync(join(folder, 'mine', 'sub'), { recursive: true });
    link('mine', 'node_modules', '.bin', 'sa-orch');
    expect(nameProgram(typing(path, { env, cwd: join(folder, 'mine', 'sub') }))).toBe(
      'npx sa-orch',
    );
  });

  test('plainly in processes that nobody typed', () => {
    expect(nameProgram(typing(join(packageRoot(), 'dist', 'workflows', 'worker-main.js')))).toBe(
      'sa-orch',
    );
    expect(nameProgram(typing(''))).toBe('sa-orch');
  });
});

describe('a text', () => {
  const argv = ['node', MAIN, 'watch', '--state-dir=a b', 'x', '--root', '/r'];

  test('gets the typed form for commands only, with the places that were typed', () => {
    const typed = typing(MAIN, { argv });
    const write = (text: string) => writeAsTyped(text, {}, typed);
    const places = "--state-dir 'a b' --root /r";
    expect(write('`sa-orch watch x` follows it')).toBe(
      `\`node bin/sa-orch.js watch ${places} x\` follows it`,
    );
    expect(write('sa-orch score --task a')).toBe('node bin/sa-orch.js score --task a');
    for (const text of ['found by sa-orch because', '/tmp/sa-orch status', 'my-sa-orch status'])
      expect(write(text)).toBe(text);
    expect(writeAsTyped('sa-orch status', { withPlaces: false }, typed)).toBe(
      'node bin/sa-orch.js status',
    );
  });

  test.each([
    [
      ['--root', 'a'],
      ['--root', 'a'],
    ],
    [
      ['--state_dir=b', '--root=c=d'],
      ['--state-dir', 'b', '--root', 'c=d'],
    ],
    [['--root'], []],
    [['--rows', '3'], []],
  ])('%j names the places %j', (words, places) => {
    expect(typedPlaces(['node', MAIN, 'up', ...words])).toEqual(places);
  });

  test('names the folders in which a sweep was found', () => {
    namePlaces('/there/checkpoints', '/there/.sa-orch');
    expect(writeAsTyped('sa-orch up', {}, typing(MAIN, { argv }))).toBe(
      'node bin/sa-orch.js up --root /there/checkpoints --state-dir /there/.sa-orch',
    );
  });
});
