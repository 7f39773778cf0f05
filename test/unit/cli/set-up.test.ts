/** What a signal does to a command that sets up what it needs. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify } from '../../../common/process-identity';
import { packageRoot } from '../../../common/package';
import { writeProgram } from '../support/programs';

const SCRIPT = `
const [, dist, stateDir, program] = process.argv;
const { setUpInterruptibly } = require(dist + '/cli/set-up.js');
const { runCommand } = require(dist + '/runtime/run-command.js');
setUpInterruptibly(stateDir, () => 'Interrupted.', true, () => runCommand(program, []));
`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-set-up-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends an installer, too', async (signal) => {
  const log = join(folder, 'pid');
  const installer = writeProgram(
    folder,
    'installer',
    `echo $$ > ${log}.new; mv ${log}.new ${log}; exec sleep 60`,
  );
  const dist = join(packageRoot(), 'dist', 'orchestrator');
  const command = spawn(process.execPath, ['-e', SCRIPT, dist, folder, installer]);
  let [said, document] = ['', ''];
  command.stdout.on('data', (chunk: Buffer) => (document += chunk.toString()));
  command.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = new Promise((resolve) => command.on('close', resolve));
  while (!existsSync(log)) await sleep(20);
  command.kill(signal);
  expect(await ended).toBe(130);
  expect(said).toBe('\nInterrupted. No service was started.\n');
  expect(JSON.parse(document)).toEqual({
    error: { message: 'Interrupted.', hint: 'No service was started.', exit_status: 130 },
  });
  const pid = Number(readFileSync(log, 'utf8'));
  while (identify(pid)) await sleep(20);
});
