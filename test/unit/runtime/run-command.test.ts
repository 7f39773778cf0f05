/** Programs that are run to their end. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../../orchestrator/runtime/run-command';
import { writeProgram } from '../support/programs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-run-command-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a program', () => {
  it('is run to its end, with what it printed, in the log as well', async () => {
    const log = join(folder, 'log');
    writeFileSync(log, '');
    const done = await runCommand(writeProgram(folder, 'p', 'echo out; echo err >&2; exit 4'), [], {
      log,
    });
    expect(done).toEqual({ status: 4, stdout: 'out\n', stderr: 'err\n' });
    expect(readFileSync(log, 'utf8').split('\n').sort()).toEqual(['', 'err', 'out']);
  });

  it('that takes longer than it may is ended', async () => {
    const started = Date.now();
    expect(
      await runCommand(writeProgram(folder, 'slow', 'exec sleep 60'), [], { timeoutMs: 200 }),
    ).toMatchObject({ status: null });
    expect(Date.now() - started).toBeLessThan(10_000);
  });

  it('that cannot be started says why', async () => {
    expect(await runCommand('/none', [])).toMatchObject({
      status: null,
      stderr: expect.stringContaining('ENOENT') as string,
    });
  });
});
