import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transformFileSync } from '@swc/core';
import { createFileOnce, writeDurably, writeDurablySync } from '../../../common/durable-files';
import { artifactRootId } from '../../../common/files';
import { packageRoot } from '../../../common/package';

let compiled: string;
beforeAll(() => {
  compiled = fs.mkdtempSync(join(tmpdir(), 'sa-orch-compiled-'));
  for (const name of ['durable-files', 'temporary-names', 'process-identity', 'make-folder']) {
    const { code } = transformFileSync(join(packageRoot(), 'common', `${name}.ts`), {
      swcrc: false,
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'commonjs' },
    });
    fs.writeFileSync(join(compiled, `${name}.js`), code);
  }
});
afterAll(() => fs.rmSync(compiled, { recursive: true }));

let folder: string;
let path: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'sa-orch-durable-'));
  path = join(folder, 'state.json');
});
afterEach(() => {
  jest.restoreAllMocks();
  fs.rmSync(folder, { recursive: true, force: true });
});

const read = () => fs.readFileSync(path, 'utf8');
const names = () => fs.readdirSync(folder);

/** Runs a script in a process of its own, with the module's functions; `limit` is of sh. */
function runAlone(script: string, limit = ':') {
  const modules = JSON.stringify(join(compiled, 'durable-files.js'));
  const program = `const exports = require(${modules});
    const path = ${JSON.stringify(path)};\n${script}`;
  return spawnSync('sh', ['-c', `${limit}; exec "$0" -e "$1"`, process.execPath, program], {
    encoding: 'utf8',
  });
}

/** Counts the calls that decide what survives, from here on. Returns what gives them in order. */
async function watchCalls(): Promise<() => string[]> {
  const handle = await open(folder);
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  const spies = [
    ['sync', jest.spyOn(fs, 'fsyncSync')],
    ['sync', jest.spyOn(prototype, 'sync')],
    ['rename', jest.spyOn(fs, 'renameSync')],
    ['rename', jest.spyOn(fs.promises, 'rename')],
  ] as const;
  return () =>
    spies
      .flatMap(([name, { mock }]) => mock.invocationCallOrder.map((order) => ({ name, order })))
      .sort((a, b) => a.order - b.order)
      .map(({ name }) => name);
}

describe.each([
  ['writeDurably', (to: string, content: string) => writeDurably(to, content)],
  [
    'writeDurablySync',
    (to: string, content: string) => Promise.resolve().then(() => writeDurablySync(to, content)),
  ],
])('%s', (name, write) => {
  it('replaces a file, makes missing folders and leaves nothing else behind', async () => {
    path = join(folder, 'a', 'b', 'state.json');
    await write(path, 'one');
    await write(path, 'two');
    expect(read()).toBe('two');
    expect(fs.readdirSync(join(folder, 'a', 'b'))).toEqual(['state.json']);
  });

  it('syncs the file before it is renamed and the folder after', async () => {
    const calls = await watchCalls();
    await write(path, 'one');
    expect(calls()).toEqual(['sync', 'rename', 'sync']);
  });

  it('keeps the old content where the disk is full after a part of the new one', () => {
    fs.writeFileSync(path, 'old');
    // The system writes the first blocks only and then refuses, as a full disk does.
    const { stdout, stderr } = runAlone(
      `(async () => exports.${name}(path, 'x'.repeat(1e6)))().catch((e) => console.log(e.code));`,
      'ulimit -f 8',
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'EFBIG\n', stderr: '' });
    expect(read()).toBe('old');
    expect(names()).toEqual(['state.json']);
  });

  it('leaves a folder that is in the way, and nothing beside it', async () => {
    fs.mkdirSync(join(path, 'inner'), { recursive: true });
    await expect(write(path, 'new')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(fs.readdirSync(path)).toEqual(['inner']);
    expect(names()).toEqual(['state.json']);
  });
});

describe('writeDurably of a stream', () => {
  it('writes all its parts', async () => {
    await writeDurably(path, partsOf('one', 'two'));
    expect(read()).toBe('onetwo');
  });

  it('keeps the old content where the stream fails', async () => {
    await writeDurably(path, 'old');
    await expect(writeDurably(path, failAfter('one'))).rejects.toThrow('cut off');
    expect(read()).toBe('old');
    expect(names()).toEqual(['state.json']);
  });

  it('keeps the old content where the process is killed in the middle', () => {
    fs.writeFileSync(path, 'old');
    const { signal } = runAlone(`
      async function* parts() {
        yield Buffer.from('new');
        process.kill(process.pid, 'SIGKILL');
        await new Promise(() => setInterval(() => {}, 1000));
      }
      void exports.writeDurably(path, parts());
    `);
    expect(signal).toBe('SIGKILL');
    expect(read()).toBe('old');
    const left = names().filter((each) => each !== 'state.json');
    expect(left).toEqual([expect.stringMatching(/^\.state\.json\./)]);
    expect(fs.readFileSync(join(folder, left[0]!), 'utf8')).toBe('new');
  });
});

describe('createFileOnce', () => {
  it('creates a file for the first of two only, and the second does not change it', () => {
    expect(createFileOnce(path, 'first')).toBe(true);
    expect(createFileOnce(path, 'second')).toBe(false);
    expect(read()).toBe('first');
    expect(names()).toEqual(['state.json']);
  });

  it('creates nothing where the disk is full', () => {
    const { stdout } = runAlone(
      `try { exports.createFileOnce(path, 'x'.repeat(1e6)); } catch (e) { console.log(e.code); }`,
      'ulimit -f 8',
    );
    expect(stdout).toBe('EFBIG\n');
    expect(names()).toEqual([]);
  });

  it('finds a file that is there also where the disk is full', () => {
    fs.writeFileSync(path, 'mine');
    const { stdout } = runAlone(
      `console.log(exports.createFileOnce(path, 'x'.repeat(1e6)));`,
      'ulimit -f 8',
    );
    expect(stdout).toBe('false\n');
  });

  it('gives an artifact root one id for ever', () => {
    const id = artifactRootId(folder);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(artifactRootId(folder)).toBe(id);
  });
});

async function* partsOf(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Promise.resolve(Buffer.from(part));
}

async function* failAfter(part: string): AsyncGenerator<Uint8Array> {
  yield Promise.resolve(Buffer.from(part));
  throw new Error('cut off');
}
