/** Which files are sweep files, and what names they give. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../../common/package';
import { findSweepFile } from '../../../orchestrator/config/sweep-file';
import { loadSweepConfig } from '../../../orchestrator/config/load';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-name-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the name of a sweep', () => {
  const body = 'tasks: [mrpc]\ncompare: [{pruner: none}]\n';
  const named = (name: string, text = body) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  it.each(['mine', 'My_Sweep.v2', '2024', '_x', 'a'.repeat(100)])(
    'may be that of %s.yaml',
    (name) => {
      expect(loadSweepConfig(named(`${name}.yaml`)).name).toBe(name);
      expect(loadSweepConfig(named('other name.yml', `name: "${name}"\n${body}`)).name).toBe(name);
    },
  );

  it.each([
    ['my sweep (v2)', 'my-sweep-v2'],
    ['-x', 'x'],
    ['.hidden', 'hidden'],
    ['..', 'sweep-1'],
    ['🙂', 'sweep-1'],
    ['2024 (1)', 'sweep-2024-1'],
    ["it's $HOME", 'it-s-HOME'],
    ['a'.repeat(101), 'a'.repeat(94)],
  ])('%s.yaml cannot give one as it is, but one like it', (name, given) => {
    const path = named(`${name}.yaml`);
    expect(loadSweepConfig(path).name).toBe(given);
    // It may be written, too.
    writeFileSync(path, `name: ${given}\n${body}`);
    expect(loadSweepConfig(path).name).toBe(given);
  });

  it('is checked where it is written, too', () => {
    expect(() => loadSweepConfig(named('s.yaml', `name: my sweep\n${body}`))).toThrow(
      /s\.yaml:1: name: .* must be up to 100 of a–z, A–Z, 0–9/,
    );
  });
});

describe('a sweep of configs/sweeps', () => {
  it.each(['glue', 'published/glue'])('is found by its name, %s', (name) => {
    expect(findSweepFile(name)).toBe(join(packageRoot(), 'configs', 'sweeps', `${name}.yaml`));
  });

  it('is named with its folder where the name is unknown', () => {
    expect(() => findSweepFile('glu')).toThrow(/must be one of .*, glue, .*, published\/glue, /);
    expect(() => findSweepFile('published/nosuch')).toThrow(
      'published/nosuch: there is no such file; give the path of a sweep file or the name of one',
    );
  });
});

describe('a sweep file that is none', () => {
  it.each([
    ['is a folder', 'x.yaml', (path: string) => mkdirSync(path), /is a folder, not a file/],
    [
      'is a pipe, whose writer one would wait for',
      'x.yaml',
      (path: string) => execFileSync('mkfifo', [path]),
      /is a pipe or a device, not a file/,
    ],
    ['does not exist', 'x.yaml', () => undefined, /there is no such file/],
    ['is below a file', 'a/x.yaml', (path: string) => writeFileSync(dirname(path), ''), /no such/],
  ])('%s', (_, name, make, says) => {
    const path = join(folder, name);
    make(path);
    expect(() => loadSweepConfig(path)).toThrow(says);
  });
});
