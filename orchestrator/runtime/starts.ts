/**
 * The starts that are under way in a state directory: each holds a file of its own from before it
 * looks for services until its sweep is submitted. So one that fails does not stop services that
 * another has begun to use.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { lockHolder, tryLock, type LockFile } from '../../common/lock-file';

const NAME = /^start-\d+\.lock$/;

export function announceStart(stateDir: string): LockFile {
  const lock = tryLock(join(stateDir, `start-${process.pid}.lock`));
  // A process of another host may have this number; its services are refused in a moment.
  return 'release' in lock ? lock : { release: () => undefined };
}

/** Whether other processes are starting sweeps. */
export function othersStart(stateDir: string): boolean {
  return readdirSync(stateDir)
    .filter((name) => NAME.test(name))
    .map((name) => lockHolder(join(stateDir, name)))
    .some((holder) => holder !== undefined && holder.pid !== process.pid);
}
