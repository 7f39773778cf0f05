/** Programs that are run to their end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../../common/package';
import { identify } from '../../../common/process-identity';
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
    expect(done).toEqual({
      ...{ status: 4, stdout: 'out\n', stderr: 'err\n' },
      end: 'exited with status 4',
    });
    expect(readFileSync(log, 'utf8').split('\n').sort()).toEqual(['', 'err', 'out']);
  });

  it('that takes longer than it may is ended', async () => {
    const started = Date.now();
    expect(
      await runCommand(writeProgram(folder, 'slow', 'exec sleep 60'), [], { timeoutMs: 200 }),
    ).toMatchObject({ status: null, end: 'did not end in 0.2 s' });
    expect(Date.now() - started).toBeLessThan(10_000);
  });

  it('that a signal ends says which', async () => {
    expect(await runCommand(writeProgram(folder, 'dies', 'kill -9 $$'), [])).toMatchObject({
      ...{ status: null, end: 'was ended by SIGKILL' },
    });
  });

  it('does not outlive a process that is told to end', async () => {
    const module = join(packageRoot(), 'dist/orchestrator/runtime/run-command.js');
    const script = 'require(process.argv[1]).runCommand(process.argv[2], [])';
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
      const log = join(folder, 'pid');
      const slow = writeProgram(
        folder,
        'slow',
        `echo $$ > ${log}.new; mv ${log}.new ${log}; exec sleep 60`,
      );
      const outer = spawn(process.execPath, ['-e', script, module, slow]);
      const ended = once(outer, 'exit');
      while (!existsSync(log)) await sleep(20);
      outer.kill(signal);
      expect(await ended).toEqual([null, signal]);
      const inner = Number(readFileSync(log, 'utf8'));
      while (identify(inner)) await sleep(20);
      rmSync(log);
    }
  });

  it('that cannot be started says why', async () => {
    expect(await runCommand('/none', [])).toMatchObject({
      status: null,
      stderr: expect.stringContaining('ENOENT') as string,
    });
  });
});
