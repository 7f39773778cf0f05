/** Which trainer runs when the user names none. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseFramework } from '../../../orchestrator/runtime/trainer-command';
import { pinnedEnvironment } from '../../../orchestrator/runtime/trainer-environment';
import { writePython } from '../support/programs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-framework-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the framework that nobody named', () => {
  const told: string[] = [];
  const choose = (env: NodeJS.ProcessEnv, own?: string) =>
    chooseFramework({ python: own, onProgress: (...line) => told.push(line.join(' ')) }, env);
  /** Nothing on PATH but what a test puts there, and an empty cache. */
  const bare = () => ({ PATH: folder, XDG_CACHE_HOME: folder });
  beforeEach(() => told.splice(0));

  it('is torch where there is a Python for it, or one is named', async () => {
    expect(await choose(bare(), '/my/python')).toBe('torch');
    expect(await choose({ ...bare(), SA_ORCH_PYTHON: '/my/python' })).toBe('torch');
    writePython(folder, 'python3', [3, 12, 3], true);
    expect(await choose(bare())).toBe('torch');
    expect(told).toEqual([]);
  });

  it('is torch where its environment was made before', async () => {
    const { folder: made } = pinnedEnvironment(bare());
    mkdirSync(made, { recursive: true });
    writeFileSync(join(made, '.complete.json'), '{}');
    expect(await choose(bare())).toBe('torch');
  });

  it('is tfjs where there is none, with a word why and that it does less', async () => {
    expect(await choose(bare())).toBe('tfjs');
    expect(told.join('\n')).toMatch(
      /tfjs, because PyTorch is unavailable: .*no Python is on PATH\n.*does less than torch/,
    );
  });
});
