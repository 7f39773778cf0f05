import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockHolder, tryLock, withLock } from '../../../common/lock-file';
import { identify } from '../../../common/process-identity';
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
