/** Full disks: how to recognize one, how to say so, and how to wait for room. */
import { existsSync, rmSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeDurablySync } from './durable-files';
import { nameBeside } from './temporary-names';

/**
 * Below this, not even the smallest files can be written for long: whoever only reads says that the
 * disk is full.
 */
const FULL_BELOW_BYTES = 1e6;
const MS_BETWEEN_TRIES = 1000;
const PROBE_BYTES = 256 * 1024;

/** Whether a write failed because the disk is full or its user's quota is used up. */
export function isDiskFull(error: unknown): error is NodeJS.ErrnoException {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** What a user may still write to the disk of a path, which need not exist. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(findExisting(path));
  return bavail * bsize;
}

/** Identifies the disk of a path, which need not exist. */
export function identifyDisk(path: string): number {
  return statSync(findExisting(path)).dev;
}

/** The path itself, or the nearest folder above it that exists. */
function findExisting(path: string): string {
  let there = path;
  while (!existsSync(there)) there = dirname(there);
  return there;
}

/** Describes the full disk of a path for people. error: that of a write that found no room. */
export function describeFullDisk(path: string, error?: NodeJS.ErrnoException): string {
  const what = error?.code === 'EDQUOT' ? 'the quota is used up on' : 'no room on';
  const megabytes = Math.floor(freeBytes(path) / 1e6).toLocaleString('en-US');
  return `${what} the disk of ${path}: ${megabytes} MB free`;
}

/**
 * Describes the first of these folders whose disk has no room, by writing a little there, because a
 * quota shows only that way; undefined if all have some.
 */
export function findFullDisk(folders: readonly string[]): string | undefined {
  for (const folder of folders.filter(existsSync)) {
    const probe = nameBeside(join(folder, 'room'));
    try {
      writeDurablySync(probe, Buffer.alloc(PROBE_BYTES));
      rmSync(probe);
    } catch (error) {
      // Of anything else that is wrong with the folder, whoever needs it says so.
      if (isDiskFull(error)) return describeFullDisk(folder, error);
    }
  }
  return undefined;
}

/** Describes those of these paths whose disks are full; for whoever does not write there. */
export function listFullDisks(paths: readonly string[]): string[] {
  return paths
    .filter((path) => freeBytes(path) < FULL_BELOW_BYTES)
    .map((path) => describeFullDisk(path));
}

/**
 * Calls `write`, which changes nothing if it fails, until the disk has room for it. `wait` is told
 * why before each further try; what it throws ends the waiting.
 */
export async function writeWhenThereIsRoom<T>(
  path: string,
  write: () => T | Promise<T>,
  wait: (reason: string) => void | Promise<void>,
): Promise<T> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      await wait(describeFullDisk(path, error));
      await sleep(MS_BETWEEN_TRIES);
    }
  }
}
