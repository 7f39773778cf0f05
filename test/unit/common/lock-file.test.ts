import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeHolder, lockHolder, tryLock, wayOut, withLock } from '../../../common/lock-file';
import { HOST, identify } from '../../../common/process-identity';
import { shellProcesses } from '../support/processes';

let folder: string;
const { start, killAll } = shellProcesses();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sa-orch-lock-'));
});
afterEach(() => {
  killAll();
  rmSync(folder, { recursive: true, force: true });
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

  const DEAD = { pid: 1, started: '0badb007-1' };

  it('of a process before its machine was restarted counts for nothing', () => {
    writeFileSync(path(), JSON.stringify({ ...DEAD, host: HOST }));
    expect(lockHolder(path())).toBeUndefined();
    expect(tryLock(path())).toHaveProperty('release');
  });

  it('of another host is kept: nobody here knows whether its holder lives', () => {
    const holder = { ...DEAD, host: 'login2' };
    writeFileSync(path(), JSON.stringify(holder));
    expect(tryLock(path())).toEqual({ holder });
    expect(describeHolder(path(), holder)).toMatch(/^process 1 on host login2, since 2.*Z$/);
    expect(wayOut(path(), holder)).toBe(
      `stop it there, or remove ${path()} if host login2 is gone`,
    );
    expect(readdirSync(folder)).toEqual(['a.lock']);
  });

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
