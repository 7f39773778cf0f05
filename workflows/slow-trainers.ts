/**
 * Which trainers are far slower than the others at the same work, and whether a sweep ends sooner
 * without them. Pure: time is an argument.
 */
import { partSize } from './part-sizes';
import type { HeldLease, Member, Pace, PlacementRequest, PoolState } from './pool-messages';

/** How long a trainer counts as slow, or as failing: one that was mended is tried again. */
export const ASIDE_MS = 10 * 60_000;

/** A slow trainer has had a slow pace in each of its last parts: once, its machine may be busy. */
const SLOW_PARTS = 3;
const FAR_BELOW = 1 / 4;
/** So many that paces of one sweep are still there when the next sweep's come between. */
const REMEMBERED_PACES = 8;

/** How slow a trainer is; rows per second of its last part, and what others have. */
export interface Slowness {
  /** The median of its last parts: below a quarter. */
  ratio: number;
  own: number;
  usual: number;
}

/** Keeps how fast a trainer was at a part. */
export function notePace(
  state: PoolState,
  member: Member,
  { sweepId, dataset, trials }: HeldLease,
  rowsPerSecond: number,
  now: number,
): void {
  if (dataset === undefined) return; // a lease of an earlier version
  const part = { sweepId, dataset, trials, rowsPerSecond, at: now };
  const usual = findUsual(state, member, part);
  member.paces = [...(member.paces ?? []), { ...part, usual }].slice(-REMEMBERED_PACES);
}

/**
 * The median pace of other trainers of this kind at comparable work: the same sweep and data set,
 * and no more trials at once, which some train in little more time than one.
 */
function findUsual(
  state: PoolState,
  member: Member,
  { sweepId, dataset, trials }: Omit<Pace, 'usual'>,
): number | null {
  const others = state.members.filter((other) => other !== member && other.kind === member.kind);
  const comparable = others
    .flatMap(({ paces = [] }) => paces)
    .filter((pace) => pace.sweepId === sweepId && pace.dataset === dataset && pace.trials <= trials)
    .map(({ rowsPerSecond }) => rowsPerSecond);
  return comparable.length === 0 ? null : findMedian(comparable);
}

function findMedian(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

/** Null for a trainer that is not slow, or of which that is not known. */
export function findSlowness({ paces = [] }: Member, now: number): Slowness | null {
  const last = paces
    .flatMap(({ rowsPerSecond, usual, at }) =>
      usual === null || now - at >= ASIDE_MS ? [] : [{ own: rowsPerSecond, usual }],
    )
    .slice(-SLOW_PARTS);
  const ratios = last.map(({ own, usual }) => own / usual);
  if (ratios.length < SLOW_PARTS || ratios.some((ratio) => ratio >= FAR_BELOW)) return null;
  return { ratio: findMedian(ratios), ...last.at(-1)! };
}

/**
 * Whether a trainer is slow, and others that work on the sweep now would be through with all that
 * waits of it before this one had done its part.
 *
 * @param waiting how many trials of the sweep have no trainer yet, the request's included
 */
export function isBetterWithout(
  state: PoolState,
  member: Member,
  { sweepId, trials }: PlacementRequest,
  waiting: number,
  now: number,
): boolean {
  const slowness = findSlowness(member, now);
  if (slowness === null) return false;
  const isFaster = ({ address }: HeldLease): boolean =>
    state.members.some(
      (other) =>
        other.address === address && other.state === 'ready' && findSlowness(other, now) === null,
    );
  const working = state.leases.filter((lease) => lease.sweepId === sweepId && isFaster(lease));
  // In the time that one of the others takes for a trial.
  const alone = Math.min(trials, partSize(member, sweepId)) / slowness.ratio;
  return working.length > 0 && waiting / working.length < alone;
}
