import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockHolder, tryLock, withLock } from '../../../common/lock-file';
import { claimPort, isPortFree } from '../../../orchestrator/runtime/ports';
import {
  findByEnvironment,
  identify,
  isAlive,
  signalProcess,
  terminate,
} from '../../../common/process-identity';

let folder: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-processes-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function start(script: string, env: Record<string, string> = {}): ChildProcess & { pid: number } {
  const child = spawn('sh', ['-c', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, ...env },
  });
  children.push(child);
  if (child.pid === undefined) throw new Error('sh did not start');
  return child as ChildProcess & { pid: number };
}

describe('a process identity', () => {
  it('is the same for a living process whenever one asks, and gone when it is dead', async () => {
    const child = start('exec sleep 60');
    const identity = identify(child.pid);
    expect(identity).toEqual(identify(child.pid));
    expect(isAlive(identity)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isAlive(identity)).toBe(false);
    expect(identify(child.pid)).toBeUndefined();
  });

  it('protects a process that has the pid of another one: it is not signalled', () => {
    const child = start('exec sleep 60');
    expect(signalProcess({ pid: child.pid, started: 'another' }, 'SIGKILL')).toBe(false);
    expect(identify(child.pid)).toBeDefined();
  });

  it('counts a process that ended and was not reaped as dead', async () => {
    // sh starts a child that ends at once, then becomes a program that never reaps it.
    const parent = start('sh -c "exit 0" & echo $!; exec sleep 60');
    const [line] = (await once(parent.stdout ?? process.stdin, 'data')) as [Buffer];
    const zombie = Number(String(line).trim());
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(identify(zombie)).toBeUndefined();
  });

  it('is found by a value in the environment', () => {
    const child = start('exec sleep 60', { SA_ORCH_TEST_TOKEN: `token-${process.pid}` });
    expect(findByEnvironment('SA_ORCH_TEST_TOKEN', `token-${process.pid}`)).toEqual(
      identify(child.pid),
    );
    expect(findByEnvironment('SA_ORCH_TEST_TOKEN', 'nobody')).toBeUndefined();
  });
});

describe('terminate', () => {
  it('lets a process end by itself', async () => {
    const child = start('exec sleep 60');
    const identity = identify(child.pid);
    expect(identity && (await terminate(identity, 5000))).toBe('stopped');
  });

  it('kills one that ignores SIGTERM when its time of grace is over', async () => {
    const child = start('trap "" TERM; echo ready; while :; do sleep 0.1; done');
    await once(child.stdout ?? process.stdin, 'data');
    const identity = identify(child.pid);
    expect(identity && (await terminate(identity, 300))).toBe('killed');
    expect(isAlive(identity)).toBe(false);
  });
});

describe('a lock file', () => {
  const path = (): string => join(folder, 'a.lock');

  it('is held by one and free again after its release', () => {
    const lock = tryLock(path());
    expect(tryLock(path())).toEqual({ holder: identify(process.pid) });
    if (!('release' in lock)) throw new Error('not taken');
    lock.release();
    expect(lockHolder(path())).toBeUndefined();
  });

  it('of a killed process counts for nothing', async () => {
    const child = start('exec sleep 60');
    writeFileSync(path(), JSON.stringify(identify(child.pid)));
    expect(tryLock(path())).toHaveProperty('holder.pid', child.pid);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(tryLock(path())).toHaveProperty('release');
    expect(lockHolder(path())?.pid).toBe(process.pid);
  });

  it.each(['', '13936\n', 'null', '{"pid": 1}'])(
    'that names no process is nobody’s: %j',
    (content) => {
      writeFileSync(path(), content);
      expect(lockHolder(path())).toBeUndefined();
      expect(tryLock(path())).toHaveProperty('release');
    },
  );

  it('is taken over also where the last taker died in the act', () => {
    writeFileSync(path(), JSON.stringify({ pid: 1, started: 'gone' }));
    mkdirSync(`${path()}.clearing`);
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(`${path()}.clearing`, longAgo, longAgo);
    expect(tryLock(path())).toHaveProperty('release');
  });

  it('lets work wait for its turn', async () => {
    const order: string[] = [];
    const first = withLock(
      path(),
      () => undefined,
      async () => {
        order.push('first begins');
        await new Promise((resolve) => setTimeout(resolve, 300));
        order.push('first ends');
      },
    );
    const second = withLock(
      path(),
      () => order.push('second waits'),
      () => Promise.resolve(order.push('second runs')),
    );
    await Promise.all([first, second]);
    expect(order).toEqual(['first begins', 'second waits', 'first ends', 'second runs']);
  });
});

describe('ports', () => {
  it('skip one that is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    expect(await isPortFree(port)).toBe(false);
    expect(await claimPort(join(folder, 'ports'), folder, port)).toBeGreaterThan(port);
    server.close();
  });

  it('stay with their state directory, and move to another when it is removed', async () => {
    const registry = join(folder, 'ports');
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    mkdirSync(one);
    mkdirSync(two);
    const first = await claimPort(registry, one, 41_233);
    expect(await claimPort(registry, two, 41_233)).not.toBe(first);
    expect(await claimPort(registry, one, 41_233)).toBe(first);
    rmSync(one, { recursive: true });
    expect(await claimPort(registry, two, 41_233)).toBe(first);
    expect(readFileSync(join(registry, String(first)), 'utf8')).toBe(two);
    expect(existsSync(join(registry, 'claim.lock'))).toBe(false);
  });
});
