/** A state directory on a disk that hosts share: the second host is refused, with the way out. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOST, identify } from '../../../common/process-identity';
import { down } from '../../../orchestrator/runtime/down';
import { refuseOtherHost } from '../../../orchestrator/runtime/other-host';
import { runtimeStatus } from '../../../orchestrator/runtime/status';
import { ensureUp } from '../../../orchestrator/runtime/up';
import { UserError } from '../../../orchestrator/base/errors';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'sa-orch-hosts-'));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

const elsewhere = { pid: process.pid, started: '0badb007-1', host: 'login2' };
const before = { ...elsewhere, host: HOST };
const writeLock = (holder: object) =>
  writeFileSync(join(stateDir, 'supervisor.lock'), JSON.stringify(holder));
const writeState = (process: object) =>
  writeFileSync(join(stateDir, 'supervisor.json'), JSON.stringify({ services: [{ process }] }));
const onProgress = () => undefined;

const commands: [string, () => unknown][] = [
  ['status', () => runtimeStatus(stateDir)],
  ['up', () => ensureUp({ stateDir, root: join(stateDir, 'root'), onProgress })],
  ['down', () => down({ stateDir, beforeStop: () => Promise.resolve([]), onProgress })],
];

test.each(commands)('%s names the host and the way out, with exit status 2', async (_, command) => {
  writeLock(elsewhere);
  const refused: unknown = await Promise.resolve()
    .then(command)
    .catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(UserError);
  const { message, hint, exitCode } = refused as UserError;
  expect(exitCode).toBe(2);
  expect(message).toMatch(
    /^the services of \S+ run on host login2 \(process \d+ on host login2, since /,
  );
  expect(hint).toContain('--state-dir, or SA_ORCH_STATE');
  expect(hint).toContain(`remove ${join(stateDir, 'supervisor.lock')} if host login2 is gone`);
});

test('services that outlived their supervisor on another host are refused, too', () => {
  writeState(elsewhere);
  expect(() => refuseOtherHost(stateDir)).toThrow('run on host login2');
});

test('a host that was restarted takes its own state directory back', () => {
  refuseOtherHost(stateDir);
  writeLock(before);
  writeState(before);
  refuseOtherHost(stateDir);
  writeLock(identify(process.pid)!);
  refuseOtherHost(stateDir);
});
