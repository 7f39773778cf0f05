/** Which Python runs the PyTorch trainer, and what is said when none can. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBasePython, probeInterpreter } from '../../../orchestrator/runtime/python';
import { findOnPath } from '../../../orchestrator/runtime/run-command';
import { ensureTrainerEnvironment } from '../../../orchestrator/runtime/trainer-environment';
import { writeProgram, writePython } from '../support/programs';

const onProgress = (): void => undefined;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-python-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the interpreter', () => {
  const find = (needsVenv: boolean): ReturnType<typeof findBasePython> =>
    findBasePython(needsVenv, { PATH: folder });

  it('is one that the pinned PyTorch has wheels for', async () => {
    writePython(folder, 'python3', [3, 9, 2], true);
    writePython(folder, 'python3.13', [3, 13, 0], true);
    writeProgram(folder, 'python3.12', 'echo "shim: no such version" >&2; exit 127');
    expect(await find(true)).toMatchObject({ version: [3, 13, 0] });
  });

  it('that is too old or missing is said with what is needed', async () => {
    await expect(find(true)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('no Python is on PATH') as string,
    });
    writePython(folder, 'python3', [3, 8, 10], true);
    await expect(find(true)).rejects.toThrow(
      /needs Python 3\.11 or newer, before 3\.15; .*python3 is 3\.8\.10/,
    );
  });

  it('without venv is refused with the package to install, and accepted with uv', async () => {
    writePython(folder, 'python3', [3, 12, 3], false);
    await expect(find(true)).rejects.toMatchObject({
      hint: expect.stringContaining('apt install python3.12-venv') as string,
    });
    expect(await find(false)).toMatchObject({ version: [3, 12, 3] });
  });

  const real = findOnPath('python3');
  (real ? it : it.skip)(
    'that the user names and that lacks packages is refused with each of them',
    async () => {
      expect(await probeInterpreter(real ?? '')).toMatchObject({
        version: [3, expect.any(Number), expect.any(Number)],
      });
      execFileSync(real ?? '', ['-m', 'venv', '--without-pip', join(folder, 'bare')]);
      const bare = ensureTrainerEnvironment({
        python: join(folder, 'bare', 'bin', 'python'),
        onProgress,
      });
      await expect(bare).rejects.toMatchObject({
        exitCode: 2,
        message: expect.stringMatching(/torch \(not installed; needs 2\.11.*grpcio/) as string,
      });
    },
  );

  it.each([
    ['exit 1', 'it exited with status 1 and said nothing'],
    ['true', 'it exited with status 0 and said nothing'],
    ['echo hello', 'it exited with status 0 and said "hello"'],
    ['kill -9 $$', 'it was ended by SIGKILL and said nothing'],
    ['echo broken >&2; exit 1', 'broken'],
  ])('that the user names and that is another program is refused: %s', async (script, why) => {
    const python = writeProgram(folder, 'python', script);
    await expect(ensureTrainerEnvironment({ python, onProgress })).rejects.toMatchObject({
      message: `${python} is not a working Python: ${why}`,
      exitCode: 2,
    });
    expect(await probeInterpreter(python)).toBeUndefined();
  });

  it('that the user names and that is none is refused', async () => {
    await expect(ensureTrainerEnvironment({ python: '/none/python', onProgress })).rejects.toThrow(
      /\/none\/python is not a working Python/,
    );
  });
});
