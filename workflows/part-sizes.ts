/**
 * How many trials of a sweep a trainer gets at once: as many as it likes, and more of those that it
 * is through with in seconds, for which asking, granting and three jobs cost more than the work.
 */
import type { HeldLease, Member } from './pool-messages';

/** A part that took less than this is brief; the next may have twice as many trials. */
const BRIEF_MS = 10_000;
/** One of more trials than the trainer likes that took longer is too large. */
const LONG_MS = 60_000;
const REMEMBERED_SWEEPS = 8;

/** The most trials that a trainer gets in a part of a sweep. */
export function partSize(member: Member, sweepId: string): number {
  const { sizes = {}, maxCohort, largestCohort = maxCohort } = member;
  return Math.min(sizes[sweepId] ?? maxCohort, largestCohort);
}

/** Keeps what a part's time says of the next one's size. */
export function noteDuration(
  member: Member,
  { sweepId, trials, since }: HeldLease,
  now: number,
): void {
  const { maxCohort, largestCohort = maxCohort } = member;
  const size = partSize(member, sweepId);
  // At most so long, had it been a whole one.
  const time = (now - since) * Math.max(1, size / trials);
  const isBrief = time < BRIEF_MS;
  const isLong = size > maxCohort && now - since > LONG_MS;
  if (!isBrief && !isLong) return;
  const next = isBrief ? Math.max(maxCohort, Math.min(2 * size, largestCohort)) : maxCohort;
  const others = Object.entries(member.sizes ?? {}).filter(([other]) => other !== sweepId);
  member.sizes = Object.fromEntries([...others.slice(1 - REMEMBERED_SWEEPS), [sweepId, next]]);
}

/** After a failure, which fewer trials may not have had. */
export function forgetSizes(member: Member): void {
  delete member.sizes;
}
