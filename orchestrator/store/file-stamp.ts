/** Whether a file or folder has changed, at the cost of one look at it. */
import { statSync } from 'node:fs';

/**
 * A change this close to the moment of a look may be followed by another one with the same time: a
 * file system counts in steps of some milliseconds.
 */
const SETTLED_MS = 1000;

/**
 * What tells a file from its successor; null if there is none. Differs at each look as long as the
 * last change is recent.
 */
export function stampFile(path: string): string | null {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return null;
  const { ino, size, mtimeMs } = found;
  const now = Date.now();
  const look = Math.abs(now - mtimeMs) < SETTLED_MS ? ` ${now}` : '';
  return `${ino} ${size} ${mtimeMs}${look}`;
}
