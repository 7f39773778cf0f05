/**
 * A trial has one writer at a time, of whichever trainer and host: the job that holds its lock.
 * TrainerService in trainer.proto says what the files are.
 */
import { statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { clearLock, lockHolder, nameHolder, tryLock, type LockFile } from '../../common/lock-file';
import { isElsewhere, type ProcessIdentity } from '../../common/process-identity';
import { removeLeftovers } from '../../common/temporary-names';
import { Phase } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { Interrupted, type JobContext } from './engine';
import { log } from './log';
import { trialFolder } from './trial-files';

const TOUCH_MS = 30_000;
/** A holder of another host that was silent for so long is taken for dead. */
const SILENCE_MS = 600_000;
const POLL_MS = 500;

/**
 * Runs `work` under the locks of a job's trials, after waiting for them and for room on the disk,
 * and removing what dead writers left in their folders.
 *
 * @throws Interrupted or Aborted if the job is to stop while it waits
 */
export async function holdTrials(
  { trials }: JobSpec,
  context: JobContext,
  work: () => Promise<void>,
): Promise<void> {
  const held = new Map<string, LockFile>();
  const touching = setInterval(() => [...held.keys()].forEach(touch), TOUCH_MS);
  try {
    // In one order everywhere, so that two jobs never wait for each other.
    for (const trialId of trials.map((trial) => trial.trialId).sort()) {
      const folder = trialFolder(context.root, trialId);
      const path = join(folder, 'writer.lock');
      held.set(path, await take(path, trialId, context));
      removeLeftovers(folder);
      removeLeftovers(join(folder, 'checkpoints'));
    }
    await work();
  } finally {
    clearInterval(touching);
    for (const lock of held.values()) lock.release();
  }
}

async function take(path: string, trialId: string, context: JobContext): Promise<LockFile> {
  let told = '';
  let touched = 0;
  let since = performance.now();
  for (;;) {
    const lock = await context.writeWhenThereIsRoom(path, () => tryLock(path));
    if ('release' in lock) return lock;
    const { holder } = lock;
    const note = describeWait(path, trialId, holder);
    if (note !== told) tell(context, note);
    told = note;
    await context.breathe();
    if (context.checkpointAsked) throw new Interrupted('stopped while it waited for a trial');
    // Seen changes count, not times: the clocks of two hosts may differ.
    const now = readTime(path);
    if (now !== touched) {
      touched = now;
      since = performance.now();
    } else if (isElsewhere(holder) && performance.now() - since > SILENCE_MS) {
      const silentSince = touched;
      await context.writeWhenThereIsRoom(path, () => clearSilentLock(path, holder, silentSince));
      continue;
    }
    await sleep(POLL_MS);
  }
}

function clearSilentLock(path: string, holder: ProcessIdentity, touched: number): void {
  clearLock(path, () => isDeepStrictEqual(lockHolder(path), holder) && readTime(path) === touched);
}

const readTime = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function tell(context: JobContext, note: string): void {
  const value = { phase: Phase.PHASE_WAIT, done: 0, total: 0, rowsPerSecond: 0, trialSteps: [] };
  context.emit({ $case: 'progress', value: { ...value, note } });
}

function describeWait(path: string, trialId: string, holder: ProcessIdentity): string {
  const note = `waiting for trial ${trialId}: another trainer works on it (${nameHolder(holder)})`;
  if (!isElsewhere(holder)) return note;
  const minutes = `${SILENCE_MS / 60_000} minutes`;
  return `${note}; if that host is gone, this goes on after ${minutes}, or without ${path}`;
}

function touch(path: string): void {
  try {
    utimesSync(path, new Date(), new Date());
  } catch (error) {
    // Somebody removed it; this job is not stopped for that.
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') log('WARNING', `${path} cannot be touched: ${message}`);
  }
}
