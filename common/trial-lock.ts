/**
 * A trial has one writer at a time, of whichever process and host: who holds its lock.
 * TrainerService in trainer.proto says what the file is.
 */
import { statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { clearLock, lockHolder, nameHolder, tryLock, type LockFile } from './lock-file';
import { isElsewhere, type ProcessIdentity } from './process-identity';

const TOUCH_MS = 30_000;
/** A holder of another host that was silent for so long is taken for dead. */
const SILENCE_MS = 600_000;
const POLL_MS = 500;

/** How one waits for a trial. */
export interface TrialWait {
  /** Told what it waits for, for people. */
  onWait: (note: string) => void;
  /** Called between two looks; what it throws ends the wait. */
  breathe: () => Promise<void>;
  /** Writes to the disk of a path; a full one is for the caller to wait for. */
  write: <T>(path: string, write: () => T) => Promise<T>;
  /** Told what is wrong with a lock that is held. */
  warn: (text: string) => void;
}

/** Takes the lock of a trial in `folder`, after waiting for it as long as its holder lives. */
export async function takeTrial(
  folder: string,
  trialId: string,
  { onWait, breathe, write, warn }: TrialWait,
): Promise<LockFile> {
  const path = join(folder, 'writer.lock');
  let told = '';
  let touched = 0;
  let since = performance.now();
  for (;;) {
    const lock = await write(path, () => tryLock(path));
    if ('release' in lock) return keepTouched(path, lock, warn);
    const { holder } = lock;
    const note = describeWait(path, trialId, holder);
    if (note !== told) onWait(note);
    told = note;
    await breathe();
    // Seen changes count, not times: the clocks of two hosts may differ.
    const now = readTime(path);
    if (now !== touched) {
      touched = now;
      since = performance.now();
    } else if (isElsewhere(holder) && performance.now() - since > SILENCE_MS) {
      const silentSince = touched;
      await write(path, () => clearSilentLock(path, holder, silentSince));
      continue;
    }
    await sleep(POLL_MS);
  }
}

function clearSilentLock(path: string, holder: ProcessIdentity, touched: number): void {
  clearLock(path, () => isDeepStrictEqual(lockHolder(path), holder) && readTime(path) === touched);
}

const readTime = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function describeWait(path: string, trialId: string, holder: ProcessIdentity): string {
  const note = `waiting for trial ${trialId}: another trainer works on it (${nameHolder(holder)})`;
  if (!isElsewhere(holder)) return note;
  const minutes = `${SILENCE_MS / 60_000} minutes`;
  return `${note}; if that host is gone, this goes on after ${minutes}, or without ${path}`;
}

/** Shows other hosts that the holder lives, until it lets go. */
function keepTouched(path: string, lock: LockFile, warn: TrialWait['warn']): LockFile {
  const touching = setInterval(() => touch(path, warn), TOUCH_MS);
  return {
    release: () => {
      clearInterval(touching);
      lock.release();
    },
  };
}

function touch(path: string, warn: TrialWait['warn']): void {
  try {
    utimesSync(path, new Date(), new Date());
  } catch (error) {
    // Somebody removed it; the work is not stopped for that.
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') warn(`${path} cannot be touched: ${message}`);
  }
}
