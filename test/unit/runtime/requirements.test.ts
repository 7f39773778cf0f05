import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../common/package';
import { isCudaOnly, parseRequirements } from '../../../orchestrator/runtime/requirements';
import { compareVersions } from '../../../orchestrator/runtime/trainer-environment';

describe('requirement files', () => {
  const requirements = (file: string) =>
    parseRequirements(readFileSync(join(packageRoot(), 'trainer', 'torch', file), 'utf8'));

  it.each([
    'requirements.txt',
    'requirements-test.txt',
    'requirements-peft.txt',
    'requirements-adapters.txt',
  ])('%s pins every package with a hash and names no address', (file) => {
    const found = requirements(file);
    expect(found.length).toBeGreaterThan(0);
    for (const { text } of found) expect(text).toMatch(/--hash=sha256:[0-9a-f]{64}/);
    expect(found.map(({ text }) => text).join('\n')).not.toContain('://');
  });

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
