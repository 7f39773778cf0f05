/**
 * The trainers of a task queue, and who works where. Starts with the first request, looks after
 * trainers while there is one, and ends when nothing is asked for or leased.
 */
import {
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
  type ExternalWorkflowHandle,
} from '@temporalio/workflow';
import type { Activities } from './activities';
import { briefActivities } from './brief-activities';
import {
  adopt,
  ask,
  forgetCohorts,
  nextRevocation,
  noteReports,
  place,
  release,
  revoke,
  takeOrphans,
  withdraw,
  type Grant,
} from './placement';
import {
  forgetSignal,
  grantedSignal,
  poolQuery,
  releaseSignal,
  requestSignal,
  revokedSignal,
  withdrawSignal,
  type HeldLease,
  type PoolState,
} from './pool-messages';

const looking = proxyActivities<Pick<Activities, 'lookAtTrainers'>>({
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '20 seconds',
  retry: { maximumInterval: '10 seconds' },
});
const stopping = proxyActivities<Pick<Activities, 'cancelJob'>>({
  startToCloseTimeout: '1 minute',
  retry: { maximumAttempts: 5, nonRetryableErrorTypes: ['ConfigError'] },
});

/** The next request may come at once; a new workflow would have to look for trainers first. */
const IDLE = '20 seconds';

export async function pool(state: PoolState): Promise<void> {
  let changed = true;
  let fault: Error | undefined;
  const change = (): void => {
    changed = true;
  };
  /** Leases that ended while cohorts were asked for theirs. */
  const over = new Set<string>();
  setHandler(poolQuery, () => state);
  setHandler(requestSignal, (request) => {
    ask(state, request, Date.now());
    change();
  });
  setHandler(withdrawSignal, (id) => {
    withdraw(state, id, Date.now());
    change();
  });
  setHandler(forgetSignal, (cohorts) => {
    forgetCohorts(state, cohorts, Date.now());
    change();
  });
  setHandler(releaseSignal, (ended) => {
    over.add(ended.id);
    release(state, ended, Date.now());
    change();
  });

  /** Looks at the trainers for ever; each look ends when something has changed. */
  async function look(): Promise<void> {
    for (;;) {
      const holders = state.leases.map(({ cohort }) => cohort);
      over.clear();
      const found = await looking.lookAtTrainers({
        ...{ known: asReports(state), holders },
        ...(state.mayLackLeases ? { asksCohorts: true } : {}),
      });
      noteReports(state, found.trainers, Date.now());
      const held = (found.leases ?? []).filter(({ id }) => !over.has(id));
      adopt(state, held, Date.now());
      delete state.mayLackLeases;
      forgetCohorts(state, found.ended, Date.now());
      change();
    }
  }

  const brief = briefActivities(true);
  const tellGranted = ({ cohort, lease }: Grant): Promise<boolean> =>
    state.isBrief
      ? brief.tellGranted(cohort, lease)
      : signalAsBefore(cohort, (handle) => handle.signal(grantedSignal, lease));
  const tellRevoked = ({ cohort, id }: HeldLease): Promise<boolean> =>
    state.isBrief
      ? brief.tellRevoked(cohort, id)
      : signalAsBefore(cohort, (handle) => handle.signal(revokedSignal, id));

  /** A cohort that is no more needs no trainer. */
  async function forgetUnless(cohort: string, isThere: Promise<boolean>): Promise<void> {
    if (await isThere) return;
    forgetCohorts(state, [cohort], Date.now());
    change();
  }

  async function decide(): Promise<void> {
    const now = Date.now();
    const revoked = revoke(state, now).map((lease) =>
      forgetUnless(lease.cohort, tellRevoked(lease)),
    );
    const granted = place(state, now).map((grant) =>
      forgetUnless(grant.cohort, tellGranted(grant)),
    );
    // Nobody waits for these. One that goes on only computes what nobody reads.
    for (const { job } of takeOrphans(state))
      stopping.cancelJob(job, 'abort').catch(() => undefined);
    await Promise.all([...revoked, ...granted]);
  }

  const isIdle = (): boolean => state.requests.length === 0 && state.leases.length === 0;
  const scope = new CancellationScope();
  const looks = scope.run(look).catch((error: unknown) => {
    if (!isCancellation(error)) fault = error as Error;
    change();
  });
  for (;;) {
    const wait = nextRevocation(state) - Date.now();
    if (isIdle()) await condition(() => changed, IDLE);
    else if (wait < Infinity) await condition(() => changed, Math.max(1, wait));
    else await condition(() => changed);
    if (fault !== undefined) throw fault;
    const isEnd = isIdle() && !changed;
    if (isEnd || workflowInfo().continueAsNewSuggested) {
      scope.cancel();
      await looks;
      if (isEnd && isIdle()) return;
      await continueAsNew<typeof pool>(state);
    }
    changed = false;
    await decide();
    setCurrentDetails(describe(state));
  }
}

/** Pools of an earlier version send signals as commands, each with a task for its outcome. */
async function signalAsBefore(
  cohort: string,
  signal: (handle: ExternalWorkflowHandle) => Promise<void>,
): Promise<boolean> {
  try {
    await signal(getExternalWorkflowHandle(cohort));
    return true;
  } catch {
    return false;
  }
}

const asReports = ({ members }: PoolState) =>
  members
    .filter(({ state }) => state !== 'gone')
    .map(({ name, address, tls, state, why, kind, slots, maxCohort, largestCohort }) => ({
      ...{ name, address, ...(tls === undefined ? {} : { tls }) },
      ...{ why, kind, slots, maxCohort, state: state === 'away' ? state : ('ready' as const) },
      ...(largestCohort === undefined ? {} : { largestCohort }),
    }));

/** For Temporal's pages. */
function describe({ members, leases, requests }: PoolState): string {
  const lines = members.map(({ name, address, state, why }) => {
    const work = leases
      .filter((lease) => lease.address === address)
      .map(({ cohort, trials }) => `${trials} trials of ${cohort}`);
    return `- ${name}: ${[state, why, ...work].filter((word) => word !== null).join(', ')}`;
  });
  return [...lines, `- waiting: ${requests.length} cohorts`].join('\n');
}
