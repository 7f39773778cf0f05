/**
 * The services of `sa-orch up`, as real processes that are killed. Needs SA_ORCH_TEST_PYTHON, an
 * interpreter that has the trainer's packages.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../common/package';
import { identify, isAlive, type ProcessIdentity } from '../../common/process-identity';
import { runtimeStatus } from '../../orchestrator/runtime/status';
import { Workplace } from '../support/workplace';

const { SA_ORCH_TEST_PYTHON: python, SA_ORCH_TEST_TEMPORAL: temporal } = process.env;
if (!python) console.warn('skipped: SA_ORCH_TEST_PYTHON is not set');
const SUPERVISOR = join(packageRoot(), 'dist/orchestrator/runtime/supervisor-main.js');
const suite = python ? describe : describe.skip;

// A machine under load takes its time: every step here starts or stops three real services.
jest.setTimeout(300_000);

type Statuses = Record<
  string,
  { state: string; pid: number | null; restarts: number; last_exit: string | null }
>;

suite('the services of a state directory', () => {
  /** Where a test, or those that share services, work. */
  let folder: string;
  let place: Workplace;
  const own = { SA_ORCH_PYTHON: python, ...(temporal ? { SA_ORCH_TEMPORAL: temporal } : {}) };

  const enter = (): void => {
    folder = mkdtempSync(join(tmpdir(), 'sa-orch-services-'));
    place = new Workplace(folder, own);
  };
  const leave = async (): Promise<void> => {
    await place.down();
    rmSync(folder, { recursive: true, force: true });
  };

  const up = (where = place): ReturnType<Workplace['run']> =>
    where.run(['up', '--device', 'cpu', '--threads', '1']);

  async function statuses(): Promise<Statuses> {
    const { stdout } = await place.run(['status', '--json']);
    const { services } = JSON.parse(stdout) as {
      services: (Statuses[string] & { name: string })[];
    };
    return Object.fromEntries(services.map((service) => [service.name, service]));
  }

  /** Asks no command: each would keep a processor busy that the services need. */
  async function until(holds: (services: Statuses) => boolean): Promise<Statuses> {
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(100)) {
      const services = runtimeStatus(place.stateDir);
      if (holds(Object.fromEntries(services.map((each) => [each.name, each])))) return statuses();
    }
    throw new Error(JSON.stringify(await statuses()));
  }

  const findPid = (services: Statuses, name: string): number => {
    const pid = services[name]?.pid;
    if (pid == null) throw new Error(`${name} has no process: ${JSON.stringify(services)}`);
    return pid;
  };
  const findIdentity = (services: Statuses, name: string): ProcessIdentity | undefined =>
    identify(findPid(services, name));
  const allReady = (services: Statuses): boolean =>
    ['supervisor', 'temporal', 'trainer', 'worker'].every(
      (name) => services[name]?.state === 'ready',
    );

  // Each test goes on with the services that the one before leaves: a start takes long.
  describe('once they are started', () => {
    /** A shell that shows one of several GPUs. */
    let shown: Workplace;
    beforeAll(() => {
      enter();
      shown = new Workplace(folder, { ...own, CUDA_VISIBLE_DEVICES: '1' });
    });
    afterAll(leave);

    test('are one set, however many `up` run at once', async () => {
      const [first, second] = await Promise.all([up(shown), up(shown)]);
      expect([first.status, second.status]).toEqual([0, 0]);
      const { supervisor, ...services } = await statuses();
      expect(supervisor?.state).toBe('ready');
      expect(Object.values(services).map(({ state, restarts }) => [state, restarts])).toEqual([
        ['ready', 0],
        ['ready', 0],
        ['ready', 0],
      ]);
    });

    test('refuse to run with other settings than those they have, with exit status 2', async () => {
      const other = await place.run(['up', '--threads', '2']);
      expect(other.status).toBe(2);
      expect(other.stderr).toContain('--threads is 1, but 2 was requested');
    });

    test('belong to one host: another one that shares the disk cannot touch them', async () => {
      const before = await statuses();
      const other = new Workplace(folder, { ...own, SA_ORCH_HOST_ID: 'login2' });
      for (const command of ['status', 'up', 'down']) {
        const refused = await other.run([command, ...(command === 'down' ? ['--force'] : [])]);
        expect([command, refused.status]).toEqual([command, 2]);
        expect(refused.stderr).toMatch(/run on host \S+ \(process \d+ on host \S+, since /);
        expect(refused.stderr).toMatch(/SA_ORCH_STATE[\s\S]*or remove \S+supervisor\.lock if host/);
      }
      expect(await statuses()).toEqual(before);
      expect(allReady(before)).toBe(true);
      // A supervisor that is started there nevertheless takes nothing over.
      const second = spawn(process.execPath, [SUPERVISOR, place.stateDir], { env: other.env });
      const [output] = (await once(second.stdout, 'data')) as [Buffer];
      expect(String(output)).toMatch(/already supervises/);
      await once(second, 'exit');
      expect(await statuses()).toEqual(before);
    });

    test('come back by themselves after kill -9, each of them', async () => {
      const before = await statuses();
      for (const name of ['temporal', 'trainer', 'worker'])
        process.kill(findPid(before, name), 'SIGKILL');
      const after = await until(
        (services) =>
          allReady(services) &&
          ['temporal', 'trainer', 'worker'].every((name) => services[name]?.restarts === 1),
      );
      for (const name of ['temporal', 'trainer', 'worker']) {
        expect(after[name]?.pid).not.toBe(before[name]?.pid);
        expect(after[name]?.last_exit).toBe('killed by SIGKILL');
      }
    });

    test('outlive their supervisor, and the next `up` adopts them, starting no twins', async () => {
      const before = await statuses();
      process.kill(findPid(before, 'supervisor'), 'SIGKILL');
      process.kill(findPid(before, 'worker'), 'SIGKILL');
      expect((await until(({ worker }) => worker?.state === 'dead')).supervisor?.state).toBe(
        'dead',
      );
      expect(await up()).toMatchObject({ status: 0 });
      const after = await statuses();
      expect(allReady(after)).toBe(true);
      expect([after.temporal?.pid, after.trainer?.pid]).toEqual([
        before.temporal?.pid,
        before.trainer?.pid,
      ]);
      expect(after.worker?.pid).not.toBe(before.worker?.pid);
      expect(after.supervisor?.pid).not.toBe(before.supervisor?.pid);
    });

    test('start the trainer again, from any shell, with the GPUs that it first saw', async () => {
      const before = await statuses();
      for (const name of ['supervisor', 'trainer']) process.kill(findPid(before, name), 'SIGKILL');
      expect(await up()).toMatchObject({ status: 0 });
      const trainer = findPid(await statuses(), 'trainer');
      expect(trainer).not.toBe(findPid(before, 'trainer'));
      expect(readFileSync(`/proc/${trainer}/environ`, 'utf8').split('\0')).toContain(
        'CUDA_VISIBLE_DEVICES=1',
      );
      const other = await new Workplace(folder, { ...own, CUDA_VISIBLE_DEVICES: '0' }).run(['up']);
      expect(other.status).toBe(2);
      expect(other.stderr).toMatch(
        /CUDA_VISIBLE_DEVICES is 1, but 0 was requested[\s\S]*sa-orch\S* down/,
      );
    });

    test('stop with `down`', async () => {
      const after = await statuses();
      const living = ['supervisor', 'temporal', 'trainer', 'worker'].map((name) =>
        findIdentity(after, name),
      );
      expect(await place.run(['down'])).toMatchObject({ status: 0 });
      expect(living.filter(isAlive)).toEqual([]);
      expect(await statuses()).toEqual({});
    });
  });

  describe('in a folder with a past', () => {
    beforeAll(enter);
    afterAll(leave);

    test('start on a database without its whole schema, and on other ports', async () => {
      // Its server died before.
      mkdirSync(join(place.stateDir, 'temporal'), { recursive: true });
      writeFileSync(join(place.stateDir, 'temporal', 'temporal.db'), 'no database');
      // As if another program had Temporal's port.
      const blocker = spawn(process.execPath, [
        '-e',
        "require('net').createServer().listen(7233, '127.0.0.1', () => " +
          "console.log('up')).on('error', () => console.log('up'))",
      ]);
      await once(blocker.stdout, 'data');
      const { status, stdout } = await place.run(['up', '--threads', '1', '--json']);
      blocker.kill('SIGKILL');
      expect(status).toBe(0);
      expect((JSON.parse(stdout) as { temporal: { address: string } }).temporal.address).not.toBe(
        '127.0.0.1:7233',
      );
      expect(
        JSON.parse(readFileSync(join(place.stateDir, 'temporal', 'schema-complete.json'), 'utf8')),
      ).toHaveProperty('version');
    });

    test('end when their state directory is removed', async () => {
      const before = await statuses();
      const living = ['supervisor', 'temporal', 'trainer', 'worker'].map((name) =>
        findIdentity(before, name),
      );
      rmSync(place.stateDir, { recursive: true });
      for (const deadline = Date.now() + 60_000; living.some(isAlive) && Date.now() < deadline;)
        await sleep(200);
      expect(living.filter(isAlive)).toEqual([]);
      expect(existsSync(place.stateDir)).toBe(false);
    });
  });

  describe('that cannot be started', () => {
    beforeEach(enter);
    afterEach(leave);

    test('refuse a database of another version, with the way out and exit status 2', async () => {
      mkdirSync(join(place.stateDir, 'temporal'), { recursive: true });
      writeFileSync(
        join(place.stateDir, 'temporal', 'schema-complete.json'),
        JSON.stringify({ version: '0.9.0' }),
      );
      const refused = await up();
      expect(refused.status).toBe(2);
      expect(refused.stderr).toMatch(/was made by Temporal 0\.9\.0[\s\S]*SA_ORCH_TEMPORAL/);
    });

    test('say what broke, with the last lines and exit status 3, if one cannot start', async () => {
      const broken = join(folder, 'broken-python');
      // Has every package by its word, and cannot run the trainer.
      writeFileSync(
        broken,
        '#!/bin/sh\ncase "$*" in *sparse_adapter_trainer*) echo "no such device" >&2; exit 5;; ' +
          `esac\nexec ${python} "$@"\n`,
        { mode: 0o755 },
      );
      const failed = await new Workplace(folder, { ...own, SA_ORCH_PYTHON: broken }).run(['up']);
      expect(failed.status).toBe(3);
      expect(failed.stderr).toMatch(
        /the trainer keeps dying \(last: exit status 5\):\n {2}no such device/,
      );
    });

    test('report an external trainer that does not answer, with exit status 3', async () => {
      const failed = await place.run(['up', '--trainer', '127.0.0.1:1']);
      expect(failed.status).toBe(3);
      expect(failed.stderr).toContain('the trainer at 127.0.0.1:1 does not answer');
    });
  });
});
