/** Which trainer works on which trials: the pool's decisions. Pure: time is an argument. */
import type {
  HeldLease,
  KnownLease,
  Lease,
  Member,
  PlacementRequest,
  PoolState,
  Release,
  TrainerReport,
} from './pool-messages';
import { forgetSizes, noteDuration, partSize } from './part-sizes';
import { ASIDE_MS, findSlowness, isBetterWithout, notePace } from './slow-trainers';

/** Failures in a row after which a trainer gets no work while others can do it. */
const FAILURES_ASIDE = 3;
const REMEMBERED_DATASETS = 8;

/** A lease, and the workflow to tell. */
export interface Grant {
  cohort: string;
  lease: Lease;
}

/** Gives free trainers to requests, which become leases in `state`. */
export function place(state: PoolState, now: number): Grant[] {
  const grants: Grant[] = [];
  for (let grant = placeOne(state, now); grant; grant = placeOne(state, now)) grants.push(grant);
  return grants;
}

function placeOne(state: PoolState, now: number): Grant | undefined {
  for (const request of inOrder(state, now)) {
    const waiting = countWaiting(state, request);
    const free = state.members.filter(
      (member) =>
        isUsable(state, member, request, now) &&
        freeSlots(state, member) > 0 &&
        !isBetterWithout(state, member, request, waiting, now),
    );
    const [best] = free.toSorted(byPreference(state, request, now));
    if (best === undefined) continue;
    return grant(state, request, best, free, now);
  }
  return undefined;
}

function grant(
  state: PoolState,
  request: PlacementRequest,
  member: Member,
  free: readonly Member[],
  now: number,
): Grant {
  const { id, cohort, sweepId, dataset, kind } = request;
  const trials = findShare(state, request, member, free);
  const { name, address, tls } = member;
  const hasOthers = state.members.some(
    (other) => other !== member && isUsable(state, other, request, now),
  );
  state.requests = state.requests.filter((other) => other !== request);
  state.leases.push({
    ...{ id, cohort, sweepId, kind, address, dataset, trials },
    since: now,
    revoked: false,
  });
  member.datasets = [...member.datasets.filter((other) => other !== dataset), dataset].slice(
    -REMEMBERED_DATASETS,
  );
  const trainer = { name, address, ...(tls === undefined ? {} : { tls }) };
  return { cohort, lease: { id, trainer, trials, hasOthers } };
}

/**
 * How many trials a trainer gets: all, unless there are more free slots than cohorts to fill them.
 * Then a cohort is shared out, since a trial's results do not depend on its neighbours.
 */
function findShare(
  state: PoolState,
  request: PlacementRequest,
  member: Member,
  free: readonly Member[],
): number {
  const slots = free.reduce((sum, each) => sum + freeSlots(state, each), 0);
  const { trials, sweepId } = request;
  const { requests: waiting } = state;
  const sweeps = new Map(waiting.map((each) => [each.sweepId, each]));
  const toCome = [...sweeps.values()].map((each) => countToCome(state, each));
  const cohorts = waiting.length + toCome.reduce((sum, each) => sum + each, 0);
  const parts = Math.max(1, Math.floor(slots / cohorts));
  // Equal parts: a small rest would cost as much as a whole one.
  const most = Math.max(1, partSize(member, sweepId));
  return Math.ceil(trials / Math.max(parts, Math.ceil(trials / most)));
}

/** How many cohorts of a request's sweep have not asked yet; they will, within seconds. */
const countToCome = (state: PoolState, { sweepId, cohorts }: PlacementRequest): number =>
  Math.max(0, cohorts - (state.asked[sweepId] ?? 0));

/** How many trials of a request's sweep have no trainer yet, about. */
const countWaiting = (state: PoolState, request: PlacementRequest): number =>
  state.requests
    .filter(({ sweepId }) => sweepId === request.sweepId)
    .reduce((sum, { trials }) => sum + trials, countToCome(state, request) * request.trials);

/** By priority; then the sweep that has had least; then the order of asking. */
function inOrder(state: PoolState, now: number): PlacementRequest[] {
  const had = new Map<string, number>();
  const count = (sweepId: string): number => {
    const known = had.get(sweepId) ?? servedSeconds(state, sweepId, now);
    had.set(sweepId, known);
    return known;
  };
  return state.requests.toSorted(
    (a, b) => b.priority - a.priority || count(a.sweepId) - count(b.sweepId),
  );
}

/** Seconds of trainers that a sweep has had, running leases included. */
export function servedSeconds(state: PoolState, sweepId: string, now: number): number {
  const running = state.leases
    .filter((lease) => lease.sweepId === sweepId)
    .reduce((sum, { since }) => sum + (now - since) / 1000, 0);
  return (state.served[sweepId] ?? 0) + running;
}

/**
 * Those where the trials failed come last, and slow ones; then one that knows the data; then the
 * least busy.
 */
const byPreference =
  (state: PoolState, { avoid, dataset }: PlacementRequest, now: number) =>
  (a: Member, b: Member): number => {
    const isSlow = (member: Member) => Number(findSlowness(member, now) !== null);
    const isAvoided = ({ address }: Member) => Number(avoid.includes(address));
    const isNew = ({ datasets }: Member) => Number(!datasets.includes(dataset));
    return (
      isAvoided(a) - isAvoided(b) ||
      isSlow(a) - isSlow(b) ||
      isNew(a) - isNew(b) ||
      countLeases(state, a) - countLeases(state, b)
    );
  };

/** Whether a trainer may work for a request, now or as soon as it has a free slot. */
function isUsable(
  state: PoolState,
  member: Member,
  request: Pick<PlacementRequest, 'sweepId' | 'kind' | 'avoid'>,
  now: number,
): boolean {
  if (!canRun(member, request, now)) return false;
  const others = state.members.filter(
    (other) =>
      other !== member && canRun(other, request, now) && !request.avoid.includes(other.address),
  );
  // Whom it failed may try it again if there is nobody else.
  if (request.avoid.includes(member.address)) return others.length === 0;
  if (member.state !== 'aside') return true;
  return now - member.since >= ASIDE_MS || others.every(({ state: its }) => its === 'aside');
}

/** Whether a trainer works, and for this sweep. */
export const canRun = (
  member: Member,
  { sweepId, kind }: Pick<PlacementRequest, 'sweepId' | 'kind'>,
  now: number,
): boolean =>
  (member.state === 'ready' || member.state === 'aside') &&
  (kind === null || member.kind === kind) &&
  now - (member.unfit[sweepId]?.since ?? -Infinity) >= ASIDE_MS;

const findMember = (state: PoolState, { address }: { address: string }): Member | undefined =>
  state.members.find((member) => member.address === address);

const countLeases = (state: PoolState, { address }: Member): number =>
  state.leases.filter((lease) => lease.address === address).length;

const freeSlots = (state: PoolState, member: Member): number =>
  member.slots - countLeases(state, member);

/** Notes a request, once. */
export function ask(state: PoolState, request: PlacementRequest, now: number): void {
  const { id, sweepId } = request;
  if (state.leases.some((lease) => lease.id === id)) return;
  // A sweep that comes later shares from now on: it is not owed what others had before.
  if (!isPresent(state, sweepId)) {
    forgetAbsent(state);
    state.served[sweepId] = findLeastServed(state, now);
    // Of one that goes on after a pause, nobody knows who has asked: all, then.
    state.asked[sweepId] = request.isFirst ? 0 : request.cohorts;
  }
  const known = state.requests.findIndex((other) => other.id === id);
  if (known !== -1) {
    state.requests[known] = request;
    return;
  }
  state.requests.push(request);
  if (request.isFirst) state.asked[sweepId] = (state.asked[sweepId] ?? 0) + 1;
}

const isPresent = (state: PoolState, sweepId: string): boolean =>
  [...state.leases, ...state.requests].some((each) => each.sweepId === sweepId);

function forgetAbsent(state: PoolState): void {
  for (const counts of [state.served, state.asked])
    for (const sweepId of Object.keys(counts))
      if (!isPresent(state, sweepId)) delete counts[sweepId];
}

function findLeastServed(state: PoolState, now: number): number {
  const all = Object.keys(state.served).map((sweepId) => servedSeconds(state, sweepId, now));
  return all.length === 0 ? 0 : Math.min(...all);
}

/** Takes back a request, or the lease that it has become meanwhile, which nobody holds. */
export function withdraw(state: PoolState, id: string, now: number): void {
  state.requests = state.requests.filter((request) => request.id !== id);
  const lease = state.leases.find((each) => each.id === id);
  if (lease !== undefined) endLease(state, lease, now);
}

/** Ends a lease, and judges its trainer by how it ended. */
export function release(state: PoolState, ended: Release, now: number): void {
  const { id, outcome, why, job, rowsPerSecond } = ended;
  const lease = state.leases.find((each) => each.id === id);
  if (lease === undefined) return; // of a pool before this one, or released twice
  endLease(state, lease, now);
  const member = findMember(state, lease);
  if (outcome === 'lost' && job !== null) state.orphans.push({ address: lease.address, job });
  if (member === undefined) return;
  if (outcome === 'unfit')
    member.unfit[lease.sweepId] = { why: why ?? 'it cannot run this sweep', since: now };
  if (outcome === 'done') {
    member.failuresInARow = 0;
    if (member.state === 'aside') become(member, 'ready', null, now);
    noteDuration(member, lease, now);
    if (rowsPerSecond !== undefined) notePace(state, member, lease, rowsPerSecond, now);
  }
  if (outcome === 'failed') {
    member.failuresInARow++;
    forgetSizes(member);
    if (member.failuresInARow >= FAILURES_ASIDE && member.state !== 'away')
      become(member, 'aside', `failed ${member.failuresInARow} times in a row: ${why}`, now);
  }
}

/** Takes over leases of a pool before this one, which those that have them told. */
export function adopt(state: PoolState, leases: readonly KnownLease[], now: number): void {
  for (const { name, ...lease } of leases) {
    if (state.leases.some(({ id }) => id === lease.id)) continue;
    state.leases.push({ ...lease, since: now, revoked: false });
    if (findMember(state, lease) !== undefined) continue;
    const { address, kind } = lease;
    state.members.push({
      ...{ name, address, kind, state: 'gone', why: 'no list of trainers names it', since: now },
      ...{ slots: 1, maxCohort: 1, failuresInARow: 0, datasets: [], unfit: {} },
    });
  }
}

/** Ends the leases of cohorts that are no more. */
export function forgetCohorts(state: PoolState, cohorts: readonly string[], now: number): void {
  for (const lease of state.leases.filter(({ cohort }) => cohorts.includes(cohort)))
    endLease(state, lease, now);
  state.requests = state.requests.filter(({ cohort }) => !cohorts.includes(cohort));
}

function endLease(state: PoolState, lease: HeldLease, now: number): void {
  const { sweepId, since } = lease;
  state.leases = state.leases.filter((each) => each !== lease);
  state.served[sweepId] = (state.served[sweepId] ?? 0) + (now - since) / 1000;
}

function become(member: Member, state: Member['state'], why: string | null, now: number): void {
  Object.assign(member, { state, why, since: now });
}

/** Takes in what a look at all trainers found. */
export function noteReports(
  state: PoolState,
  reports: readonly TrainerReport[],
  now: number,
): void {
  for (const report of reports) {
    const member = findMember(state, report);
    if (member === undefined) {
      const fresh = { failuresInARow: 0, datasets: [], unfit: {} };
      state.members.push({ ...report, ...fresh, since: now });
      continue;
    }
    const { state: its, why, ...rest } = report;
    // What it could not run, it may run now: another trainer may be there, or a mended one.
    if (member.kind !== rest.kind || (member.state === 'away' && its === 'ready'))
      member.unfit = {};
    // One that did not answer says nothing new of itself.
    if (its === 'ready') Object.assign(member, rest);
    const wasAside = member.state === 'aside' && its === 'ready';
    if (member.state !== its && !wasAside) become(member, its, why, now);
    if (its === 'away') member.failuresInARow = 0;
  }
  const named = new Set(reports.map(({ address }) => address));
  for (const member of state.members)
    if (!named.has(member.address) && member.state !== 'gone')
      become(member, 'gone', 'no list of trainers names it any more', now);
  state.members = state.members.filter(
    (member) => member.state !== 'gone' || countLeases(state, member) > 0,
  );
}

/** When a lease may have to be revoked next, in milliseconds since 1970; Infinity if never. */
export function nextRevocation(state: PoolState): number {
  const times = state.leases.flatMap((lease) => {
    const member = findMember(state, lease);
    if (lease.revoked || member === undefined) return [];
    const end = member.since + 1000 * state.graceSeconds;
    // A look at the trainers tells when there is somebody else.
    return isToRevoke(state, lease, member, end) ? [end] : [];
  });
  return Math.min(Infinity, ...times);
}

/** Whether a lease ends because its trainer has been absent for longer than the grace. */
function isToRevoke(state: PoolState, lease: HeldLease, member: Member, now: number): boolean {
  const isAbsent = member.state === 'away' || member.state === 'gone';
  if (!isAbsent || now - member.since < 1000 * state.graceSeconds) return false;
  // One that no list names will not be back; else its cohort may as well wait for it.
  return (
    member.state === 'gone' ||
    state.members.some((other) => other !== member && canRun(other, lease, now))
  );
}

/**
 * Revokes leases of trainers that have been gone for long, or away if another one can do the work.
 * Returns them; each stays until it is released.
 */
export function revoke(state: PoolState, now: number): HeldLease[] {
  const revoked: HeldLease[] = [];
  for (const lease of state.leases.filter((each) => !each.revoked)) {
    const member = findMember(state, lease);
    if (member !== undefined && !isToRevoke(state, lease, member, now)) continue;
    lease.revoked = true;
    revoked.push(lease);
  }
  return revoked;
}

/** Takes out the jobs that can be stopped now, because their trainer is back. */
export function takeOrphans(state: PoolState): PoolState['orphans'] {
  const isBack = (address: string) =>
    state.members.some((member) => member.address === address && member.state === 'ready');
  const back = state.orphans.filter(({ address }) => isBack(address));
  state.orphans = state.orphans.filter((orphan) => !back.includes(orphan));
  return back;
}
