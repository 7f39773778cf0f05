/**
 * A lock between processes that ends with its holder: the file identifies the holder and its host,
 * and the lock of a holder that is known to be dead is void: its process is gone, or its machine
 * has been restarted. Whether a process of another host lives cannot be known here, so its lock
 * counts until somebody removes the file. (Node has no flock, and a plain lock file stays behind
 * after kill -9.) The PyTorch trainer's lock_file.py uses the same files.
 */
import {
  existsSync,
  linkSync,
  mkdirSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from './make-folder';
import { naming } from './durable-files';
import { readIfThere } from './files';
import { identify, isElsewhere, mayBeAlive, type ProcessIdentity } from './process-identity';
import { nameBeside } from './temporary-names';

export interface LockFile {
  release(): void;
}

/** The lock's holder is on another host, and did not let go in the time that one can wait. */
export class HeldElsewhere extends Error {
  override readonly name = 'HeldElsewhere';
  readonly exitCode = 3;
}

/**
 * Clearing a dead holder's lock takes well under a millisecond, so a guard this old was left by a
 * process that died meanwhile.
 */
const GUARD_TIMEOUT_MS = 10_000;

/** How long `withLock` waits for a holder whose death it could not see. */
const ELSEWHERE_PATIENCE_MS = 10_000;

/** Takes the lock for this process, or returns its holder. */
export function tryLock(path: string): LockFile | { holder: ProcessIdentity } {
  const self = identify(process.pid);
  if (self === undefined) throw new Error('this process cannot find itself');
  makeFolder(dirname(path));
  for (;;) {
    if (createLock(path, self)) return { release: () => release(path, self) };
    const holder = lockHolder(path);
    if (holder !== undefined) return { holder };
    clearLock(path, () => lockHolder(path) === undefined);
  }
}

/**
 * The process that holds the lock: one that lives, or one of another host, which may live;
 * undefined if there is none. A file that identifies no process does not count: its writer was
 * killed, or was an older version.
 */
export function lockHolder(path: string): ProcessIdentity | undefined {
  const content = readIfThere(path);
  if (content === undefined) return undefined;
  try {
    const holder = JSON.parse(content) as ProcessIdentity;
    return mayBeAlive(holder) ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** A holder, for people, with its host if that is another one. */
export const nameHolder = (holder: ProcessIdentity): string =>
  `process ${holder.pid}${isElsewhere(holder) ? ` on host ${holder.host}` : ''}`;

/** Who holds the lock, and since when, for people. */
export function describeHolder(path: string, holder: ProcessIdentity): string {
  const since = statSync(path, { throwIfNoEntry: false })?.mtime.toISOString().slice(0, 19);
  return `${nameHolder(holder)}${since === undefined ? '' : `, since ${since}Z`}`;
}

/** What to do about a holder of another host. */
export const wayOut = (path: string, { host }: ProcessIdentity): string =>
  `stop it there, or remove ${path} if host ${host} is gone`;

/**
 * Runs `work` under the lock, after waiting for it as long as its holder lives.
 *
 * @throws HeldElsewhere if a process of another host holds it and does not release it soon
 */
export async function withLock<T>(
  path: string,
  onWait: (holder: ProcessIdentity) => void,
  work: () => Promise<T>,
): Promise<T> {
  let told = false;
  const deadline = Date.now() + ELSEWHERE_PATIENCE_MS;
  for (;;) {
    const lock = tryLock(path);
    if ('release' in lock) {
      try {
        return await work();
      } finally {
        lock.release();
      }
    }
    const { holder } = lock;
    if (isElsewhere(holder) && Date.now() > deadline) {
      throw new HeldElsewhere(
        `${path} is held by ${describeHolder(path, holder)}, and whether that process lives ` +
          `cannot be known here; wait for it, ${wayOut(path, holder)}`,
      );
    }
    if (!told) onWait(holder);
    told = true;
    await sleep(200);
  }
}

/** Removes the file, unless it has become another process's. */
function release(path: string, self: ProcessIdentity): void {
  if (readIfThere(path) === JSON.stringify(self)) rmSync(path, { force: true });
}

/**
 * Creates a complete file, or returns false if there is one. Not synced: after a power cut every
 * lock is void anyway.
 */
function createLock(path: string, self: ProcessIdentity): boolean {
  // A lock that is held is found on a full disk, too.
  if (existsSync(path)) return false;
  const temporary = nameBeside(path);
  try {
    writeFileSync(temporary, JSON.stringify(self), { flag: 'wx' });
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw naming(path, error);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/**
 * Removes a lock that is void. If two processes find it at the same time, the slower one must not
 * remove the faster one's new lock. So this asks again and removes it under a guard, a folder that
 * only one process can create.
 */
export function clearLock(path: string, isVoid: () => boolean): void {
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
    if (isVoid()) rmSync(path, { force: true });
  } finally {
    rmdirSync(guard);
  }
}
