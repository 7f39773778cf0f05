/** Which ended jobs a trainer forgets: the old ones, and the oldest beyond a size. */

/** Whoever watched a job that has just ended may still come back for its log. */
const KEPT_MS = 3_600_000;
const BYTES_PER_MB = 1_000_000;
const MS_PER_DAY = 86_400_000;

/** How long ended jobs are kept. */
export interface Retention {
  /** Since their end. */
  days: number;
  /** Of all of them together, but never one that ended within the last hour. */
  megabytes: number;
}

export const DEFAULT_RETENTION: Retention = { days: 14, megabytes: 1000 };

/** What counts of a job that has ended. */
interface Ended {
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
  /** Bytes on disk. */
  readonly size: number;
}

/** The jobs to forget, the oldest first. now: milliseconds since the epoch. */
export function chooseForgotten<E extends Ended>(
  { days, megabytes }: Retention,
  ended: readonly E[],
  now: number,
): E[] {
  const oldestFirst = ended.toSorted((a, b) => a.endedAt - b.endedAt);
  let excess = oldestFirst.reduce((sum, { size }) => sum + size, 0) - megabytes * BYTES_PER_MB;
  return oldestFirst.filter(({ endedAt, size }) => {
    const age = now - endedAt;
    const goes = age > days * MS_PER_DAY || (excess > 0 && age > KEPT_MS);
    if (goes) excess -= size;
    return goes;
  });
}
