/** The command as a user without rights, and with no home of their own. */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AS_NOBODY, canBeNobody, COMMAND, makeTemplate } from './broken-place';

// Only root can become another user, and only where that one may read this clone.
const asUser = canBeNobody() ? test : test.skip;

let folder: string;
let sweepId: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-user-'));
  chmodSync(folder, 0o755);
  ({ sweepId } = await makeTemplate(folder));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Types a command as nobody. */
function type(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(
    'setpriv',
    [...AS_NOBODY, process.execPath, COMMAND, ...args],
    {
      cwd: folder,
      env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent', HF_HUB_OFFLINE: '1', ...env },
      encoding: 'utf8',
    },
  );
  return { status, stdout, stderr };
}

const SWEEP = ['--sweep', 's.yaml', '--backbone', './base'];
const PLACES = () => ['--root', join(folder, 'ck'), '--state-dir', join(folder, 'st')];

asUser('plan, status, doctor and help need no home that can be written', () => {
  const plan = type(['plan', ...SWEEP, ...PLACES()]);
  expect(plan.stderr).toBe('');
  expect(plan.stdout).toMatch(/1 trial in 1 cohort/);
  expect(plan.status).toBe(0);
  expect(type(['status', ...PLACES()])).toMatchObject({ status: 0, stderr: '' });
  expect(type(['--help'])).toMatchObject({ status: 0, stderr: '' });
  // It says what is missing instead.
  expect(type(['doctor', ...PLACES()]).stdout).toMatch(/disk \(cache\) +\/\S* is not writable/);
});

asUser('a report of somebody else is shown, and where it cannot be written is said', () => {
  const { status, stdout, stderr } = type(['report', sweepId, ...PLACES()]);
  expect(stdout).toMatch(/snip +40 %/);
  expect(stderr).toMatch(/^error: cannot \S+ \S+results.jsonl: user nobody has no permission/);
  expect(status).toBe(2);
});

asUser('a state directory of somebody else is named, with the option for another one', () => {
  const state = join(folder, 'others');
  mkdirSync(state);
  const { status, stderr } = type(['start', ...SWEEP, '--root', state, '--state-dir', state]);
  expect(stderr).toMatch(
    /^error: cannot \S+ \S+others\S*: user nobody has no permission for \S+\n.*--(root|state-dir)/,
  );
  expect(status).toBe(2);
});

asUser('a cache that cannot be written stops only what needs it', () => {
  const own = join(folder, 'own');
  mkdirSync(own);
  chownSync(own, 65534, 65534);
  const places = ['--root', join(own, 'ck'), '--state-dir', join(own, 'st')];
  const { status, stderr } = type(['start', ...SWEEP, ...places], {
    SA_ORCH_TEMPORAL: process.env.SA_ORCH_TEST_TEMPORAL ?? '/bin/false',
  });
  expect(status).toBe(2);
  expect(stderr).toMatch(/SA_ORCH_CACHE|SA_ORCH_TEMPORAL/);
});

asUser('a sweep file that may not be read is named', () => {
  chmodSync(join(folder, 's.yaml'), 0);
  const { status, stderr } = type(['plan', ...SWEEP]);
  expect(stderr).toMatch(/^error: s\.yaml: cannot be read: user nobody has no permission/);
  expect(status).toBe(2);
});
