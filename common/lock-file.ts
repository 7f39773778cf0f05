/**
 * A lock between processes that ends with its holder: the file identifies the holder, and the lock
 * of a dead holder is void. (Node has no flock, and a plain lock file stays behind after kill -9.)
 * The PyTorch trainer's `Lock` uses the same files.
 */
import { mkdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFileOnce } from './durable-files';
import { readIfThere } from './files';
import { identify, isAlive, type ProcessIdentity } from './process-identity';

export interface LockFile {
  release(): void;
}

/**
 * Clearing a dead holder's lock takes well under a millisecond, so a guard this old was left by a
 * process that died meanwhile.
 */
const GUARD_TIMEOUT_MS = 10_000;

/** Takes the lock for this process, or returns its holder. */
export function tryLock(path: string): LockFile | { holder: ProcessIdentity } {
  const self = identify(process.pid);
  if (self === undefined) throw new Error('this process cannot find itself');
  for (;;) {
    if (createFileOnce(path, JSON.stringify(self)))
      return { release: () => rmSync(path, { force: true }) };
    const holder = lockHolder(path);
    if (holder !== undefined) return { holder };
    clearDeadLock(path);
  }
}

/**
 * The living process that holds the lock; undefined if there is none. A file that identifies no
 * process does not count: its writer was killed, or was an older version.
 */
export function lockHolder(path: string): ProcessIdentity | undefined {
  const content = readIfThere(path);
  if (content === undefined) return undefined;
  try {
    const holder = JSON.parse(content) as ProcessIdentity;
    return isAlive(holder) ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** Runs `work` under the lock, after waiting for it as long as its holder lives. */
export async function withLock<T>(
  path: string,
  onWait: (holder: ProcessIdentity) => void,
  work: () => Promise<T>,
): Promise<T> {
  let told = false;
  for (;;) {
    const lock = tryLock(path);
    if ('release' in lock) {
      try {
        return await work();
      } finally {
        lock.release();
      }
    }
    if (!told) onWait(lock.holder);
    told = true;
    await sleep(200);
  }
}

/**
 * Removes the lock of a dead holder. If two processes find it at the same time, the slower one must
 * not remove the faster one's new lock. So this checks again and removes it under a guard, a folder
 * that only one process can create.
 */
function clearDeadLock(path: string): void {
  const guard = `${path}.clearing`;
  try {
    mkdirSync(guard);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const age = Date.now() - (statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > GUARD_TIMEOUT_MS) rmdirSync(guard);
    return;
  }
  try {
    if (lockHolder(path) === undefined) rmSync(path, { force: true });
  } finally {
    rmdirSync(guard);
  }
}
