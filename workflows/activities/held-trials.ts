/**
 * The locks of a job's trials in this root, which its watcher holds for a trainer that writes to a
 * root of its own: what it fetches replaces nothing that another trainer is making.
 */
import { join } from 'node:path';
import { writeWhenThereIsRoom } from '../../common/disk-space';
import type { LockFile } from '../../common/lock-file';
import { takeTrial } from '../../common/trial-lock';

export class HeldTrials {
  private readonly held: LockFile[] = [];

  /**
   * @param say told what it waits for, for people
   * @param warn told what is wrong with a lock that is held
   */
  constructor(
    private readonly root: string,
    private readonly say: (note: string) => void,
    private readonly warn: (text: string) => void,
  ) {}

  /**
   * Takes the locks, after waiting for each as long as its holder lives. Those that it has are to
   * be released even if it throws.
   *
   * @throws the signal's reason if it is aborted before
   */
  async take(trials: readonly string[], signal: AbortSignal): Promise<void> {
    const onFullDisk = (reason: string): void => {
      signal.throwIfAborted();
      this.say(reason);
    };
    // In one order everywhere, so that two jobs never wait for each other.
    for (const trial of [...trials].sort())
      this.held.push(
        await takeTrial(join(this.root, 'trials', trial), trial, {
          onWait: this.say,
          breathe: () => Promise.resolve(signal.throwIfAborted()),
          write: (path, write) =>
            writeWhenThereIsRoom(path, () => Promise.resolve(write()), onFullDisk),
          warn: this.warn,
        }),
      );
  }

  release(): void {
    for (const lock of this.held.splice(0)) lock.release();
  }
}
