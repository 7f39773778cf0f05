/**
 * A lock between processes that outlives nobody: the file names its holder, and the lock of a dead
 * holder counts for nothing. (Node has no flock, and a name alone in a file stays behind after kill
 * -9.) The PyTorch trainer's `Lock` reads and writes the same.
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
 * Clearing a dead holder's lock takes well under a millisecond; a guard this old was left by a
 * process that died in it.
 */
const GUARD_TIMEOUT_MS = 10_000;

/** Takes the lock for this process, or tells who holds it. */
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
 * The living process that holds the lock; undefined where nobody does. A file that names no process
 * is nobody's: its writer was killed, or older.
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

/** Runs `work` under the lock, waiting for it as long as its holder lives. */
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
 * Removes the lock of a dead holder. Two processes may find it at the same time, and the slower
 * must not remove the quicker one's new lock: so look again and remove under a guard, which mkdir
 * gives to one only.
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
