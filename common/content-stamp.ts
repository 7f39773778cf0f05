/** What changes with a file's content, at the cost of one look at it. */
import type { BigIntStats } from 'node:fs';

/**
 * For so long after a change another one may leave all the times as they are: file systems count
 * in steps of up to two seconds.
 */
const COARSEST_CLOCK_MS = 2000;

/**
 * Size and modification time alone do not tell: cp -p, tar and rsync set the time, but they change
 * the inode or the time of the change. isSettled: whether a later change would have another stamp.
 */
export function stampContent({ dev, ino, size, mtimeNs, ctimeNs, ctimeMs }: BigIntStats): {
  stamp: string;
  isSettled: boolean;
} {
  const isSettled = Date.now() - Number(ctimeMs) > COARSEST_CLOCK_MS;
  return { stamp: [size, mtimeNs, ctimeNs, dev, ino].join(' '), isSettled };
}
