/**
 * A sweep: prepare data sets, run unfinished cohorts within the parallel limit, make the choices of
 * a search and run what they lead to, write the report.
 */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  ParentClosePolicy,
  patched,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import type { CohortRef } from '../orchestrator/sweep/types';
import type { Activities } from './activities';
import { cohort } from './cohort';
import { FailureBudget } from './failure-budget';
import { keepReportFresh } from './fresh-report';
import {
  CANCELLED,
  dropSignal,
  modeSignal,
  setModeUpdate,
  statusQuery,
  type CohortOutcome,
  type Mode,
  type SweepInput,
  type SweepStatus,
} from './messages';
import { placedSignal } from './pool-messages';
import { SweepChanges } from './sweep-changes';
import { describeProgress } from './search-attributes';
import { rootMessage } from './root-message';

/** Tokenize, or go through the files of thousands of trials; heartbeat while they do. */
const long = proxyActivities<
  Pick<Activities, 'prepareData' | 'listUnfinishedCohorts' | 'endCohorts' | 'decideChoices'>
>({
  startToCloseTimeout: '6 hours',
  heartbeatTimeout: '30 seconds',
  retry: { maximumInterval: '20 seconds', nonRetryableErrorTypes: ['ConfigError'] },
});
const short = proxyActivities<Pick<Activities, 'writeSweepReport' | 'failCohort'>>({
  startToCloseTimeout: '1 minute',
  retry: { maximumInterval: '20 seconds', nonRetryableErrorTypes: ['ConfigError'] },
});

/** How many cohorts wait for a trainer at a time. */
const AHEAD = 2;

/**
 * Runs a sweep to its end and returns its counters. Failed trials do not fail the sweep; the table
 * shows them.
 *
 * A request to cancel the workflow itself, from Temporal's own tools, means the same as the mode
 * `cancel`.
 */
export async function sweep(input: SweepInput): Promise<SweepStatus> {
  const { cancelRequested } = CancellationScope.current();
  return CancellationScope.nonCancellable(() => runSweep(input, cancelRequested));
}

async function runSweep(input: SweepInput, cancelRequested: Promise<never>): Promise<SweepStatus> {
  const { sweepId, run } = input;
  const plan = { sweepId, planDigest: input.planDigest };
  const fresh = { mode: 'run' as const, done: 0, failed: 0, cancelled: 0 };
  const status: SweepStatus = { ...(input.earlier ?? fresh), cohorts: {} };
  for (const { id } of input.cohorts) status.cohorts[id] = 'waiting';
  /** Cohorts that have had a trainer, by workflow id. */
  const placed = new Set<string>();
  const children = new Map<string, ChildWorkflowHandle<typeof cohort>>();
  const prepared = new Map<string, Promise<void>>();
  const attempts: Record<string, number> = { ...input.attempts };
  let inProgress = 0;
  /** Cohorts that have ended, now and when a search was last decided. */
  let [ended, decidedAt] = [0, 0];
  let signalled: Mode = 'run';
  const budget = new FailureBudget(input.maxFailures ?? 0);
  cancelRequested.catch(() => (status.mode = 'cancel'));

  setHandler(statusQuery, () => status);
  setHandler(placedSignal, (id) => {
    placed.add(id);
  });
  setHandler(
    setModeUpdate,
    (mode) => {
      const before = status.mode;
      status.mode = mode;
      show();
      return before;
    },
    {
      validator: (mode) => {
        if (status.mode === 'cancel' && mode !== 'cancel')
          throw ApplicationFailure.create({ message: 'the sweep is being cancelled' });
      },
    },
  );
  // Sweeps that an earlier version started go on as they began: all cohorts are started, even to
  // cancel them, and each writes a report.
  const frugal = patched('unfinished-cohorts-only');
  const isBrief = input.placement !== undefined && patched('brief-activities');
  const write = (whole: boolean) => short.writeSweepReport({ ...plan, whole });
  const report = frugal
    ? keepReportFresh(write)
    : { change: () => write(true), finish: () => write(true) };

  /**
   * Prepares each data set once, when its first cohort needs it. A failure reaches every cohort
   * that waits for it.
   */
  function prepareOnce(dataset: string): Promise<void> {
    let promise = prepared.get(dataset);
    if (!promise) {
      promise = long.prepareData({ ...plan, dataset });
      prepared.set(dataset, promise);
    }
    return promise;
  }

  const untilCancelled = condition(() => status.mode === 'cancel');
  untilCancelled.catch(() => undefined);
  /** Prepares a data set, which may take hours, but does not wait for it in a cancelled sweep. */
  function prepareUnlessCancelled(dataset: string): Promise<void> {
    const preparing = prepareOnce(dataset);
    return frugal ? Promise.race([preparing, untilCancelled]) : preparing;
  }

  async function runCohort({ id, dataset, isEvaluated }: CohortRef, all: number): Promise<void> {
    // The sweep's id makes the child's unique, because children cannot be started with "use
    // existing".
    const attempt = attempts[id] === undefined ? run : `${run}r${attempts[id]}`;
    const workflowId = `${sweepId}/${attempt}/${id}`;
    const placement = input.placement && { ...input.placement, dataset, cohorts: all };
    let cancelled = 0;
    try {
      // A cancelled sweep needs no data.
      if (status.mode !== 'cancel') await prepareUnlessCancelled(dataset);
      const mode = status.mode;
      if (frugal && mode === 'cancel') return await cancelCohorts([id]);
      const dropped = [...changes.droppedOf(id)];
      const child = await startChild(cohort, {
        workflowId,
        args: [
          {
            ...{ ...plan, run: attempt, cohortId: id, mode },
            ...(dropped.length > 0 && { dropped }),
            ...(isEvaluated && { isEvaluated }),
            ...(placement && { placement, isBrief }),
          },
        ],
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      });
      children.set(id, child);
      // The mode may have changed while the child was starting and could not be signalled.
      if (status.mode !== mode) await child.signal(modeSignal, status.mode).catch(() => undefined);
      const late = changes.droppedOf(id).filter((trial) => !dropped.includes(trial));
      if (late.length > 0) await child.signal(dropSignal, late).catch(() => undefined);
      const outcome = await child.result();
      count(outcome);
      const isCancelled = outcome.cancelled > changes.droppedOf(id).length;
      status.cohorts[id] = isCancelled ? 'cancelled' : 'done';
      budget.note(outcome);
      cancelled = outcome.cancelled;
    } catch (error) {
      const outcome = await short.failCohort({
        ...plan,
        cohortId: id,
        message: rootMessage(error),
      });
      count(outcome);
      status.cohorts[id] = 'failed';
      budget.note(outcome);
    } finally {
      children.delete(id);
      placed.delete(workflowId);
      inProgress--;
      ended++;
    }
    await changes.settle(id, cancelled);
    await report.change();
  }

  /** Gives the trials of cohorts that were not started their outcome, in one go. */
  async function cancelCohorts(ids: string[]): Promise<void> {
    for (const id of ids) status.cohorts[id] = 'cancelled';
    count(await long.endCohorts({ ...plan, cohorts: ids, failed: CANCELLED }));
  }

  function count(outcome: CohortOutcome): void {
    status.done += outcome.done;
    status.failed += outcome.failed;
    status.cancelled += outcome.cancelled;
    show();
  }

  let searchable = '';
  /** For Temporal's pages: its searches, where the server can, and its page of this sweep. */
  function show(end?: 'stopped' | 'ended'): void {
    const { mode, done, failed, cancelled, cohorts } = status;
    const words = { run: 'running', pause: 'paused', cancel: 'cancelling' };
    const running = Object.keys(cohorts).filter((id) => cohorts[id] === 'running');
    setCurrentDetails(
      `${done} trials done, ${failed} failed, ${cancelled} cancelled; ${end ?? words[mode]}` +
        (running.length > 0 ? `\n\n${running.map((id) => `- ${id}`).join('\n')}` : ''),
    );
    const attributes = describeProgress(end ?? words[mode], failed);
    const now = JSON.stringify(attributes);
    if (input.isSearchable && now !== searchable) upsertSearchAttributes(attributes);
    searchable = now;
  }

  /** The cohorts with trials that are yet to run; the others are done. */
  async function findUnfinished(): Promise<CohortRef[]> {
    const unfinished = new Set(await long.listUnfinishedCohorts(plan));
    for (const { id } of input.cohorts) if (!unfinished.has(id)) status.cohorts[id] = 'done';
    return input.cohorts.filter(({ id }) => unfinished.has(id));
  }

  /** Passes a changed mode on to the cohorts in progress. */
  async function passModeOn(): Promise<void> {
    while (signalled !== 'cancel') {
      await condition(() => status.mode !== signalled);
      signalled = status.mode;
      for (const child of children.values())
        await child.signal(modeSignal, signalled).catch(() => undefined); // it may have just ended
    }
  }
  const passing = passModeOn();
  passing.catch(() => undefined);

  /**
   * Whether the next cohort may start. With a pool, a few wait for a trainer, so that it can choose
   * among them and none stands idle; their data is prepared meanwhile.
   */
  function hasRoom(): boolean {
    const { maxParallel, placement } = input;
    if (placement === undefined) return inProgress < maxParallel;
    const isAllowed = maxParallel === 0 || inProgress < maxParallel;
    return isAllowed && inProgress - placed.size < AHEAD;
  }

  let historyIsLong = false;
  const running: Promise<void>[] = [];
  const errors: unknown[] = [];
  const runBeside = (work: Promise<void>) =>
    running.push(work.catch((error: unknown) => void errors.push(error)));

  /**
   * Starts cohorts in this order until none is left or the sweep stops, and waits for them. There
   * may be more meanwhile.
   */
  async function runCohorts(cohorts: CohortRef[]): Promise<void> {
    for (let index = 0; ; index++) {
      const isThere = () => index < cohorts.length;
      while (!isThere() && mayDecideEarly()) await decideEarly(isThere);
      if (!isThere()) await Promise.race([Promise.all(running), condition(isThere)]);
      if (!isThere()) break;
      const { id, dataset } = cohorts[index]!;
      // Prepare rows while their cohort waits for its turn; runCohort handles a failure.
      if (status.mode === 'run') prepareOnce(dataset).catch(() => undefined);
      const mayGoOn = () =>
        errors.length > 0 ||
        budget.spent !== null ||
        status.mode === 'cancel' ||
        (status.mode === 'run' && hasRoom() && !changes.holdsStarts);
      // A change may begin between the condition and here.
      do await condition(mayGoOn);
      while (!mayGoOn());
      if (errors.length > 0) break;
      if (budget.spent !== null && status.mode !== 'cancel') break;
      if (frugal && status.mode === 'cancel') {
        runBeside(cancelCohorts(cohorts.slice(index).map((waiting) => waiting.id)));
        break;
      }
      // The server ends a workflow at 51,200 events, which are some 2,000 cohorts. A new run looks
      // for the unfinished ones again.
      historyIsLong = frugal && index > 0 && workflowInfo().continueAsNewSuggested;
      if (historyIsLong) break;
      status.cohorts[id] = 'running';
      show();
      inProgress++;
      runBeside(runCohort(cohorts[index]!, cohorts.length));
    }
    await Promise.all(running);
    if (errors.length > 0) throw errors[0];
    // Cancelled after the sweep had stopped, while its last cohorts were running.
    const left = cohorts.filter(({ id }) => status.cohorts[id] === 'waiting').map(({ id }) => id);
    if (frugal && status.mode === 'cancel' && left.length > 0) await cancelCohorts(left);
  }

  let { hasSearch = false, decidesEarly = false, cohorts: known } = input;
  /** Cohorts to start, of which there may be more by the time that the first have ended. */
  let queue: CohortRef[] = [];

  /** Takes note of a new plan, and returns the cohorts that it adds. */
  function takeOver(planDigest: string, cohorts: CohortRef[]): CohortRef[] {
    plan.planDigest = planDigest;
    const added = cohorts.filter(({ id }) => !(id in status.cohorts));
    for (const { id } of added) status.cohorts[id] = 'waiting';
    known = [...known, ...added];
    return added;
  }

  const changes = new SweepChanges(
    {
      ...{ plan, status, children, isStopping: () => budget.spent !== null },
      takeOver: (extended) => {
        queue.push(...takeOver(extended.planDigest, extended.cohorts));
        hasSearch ||= extended.hasSearch;
        decidesEarly ||= extended.decidesEarly === true;
      },
      runAgain: (ids) => {
        const isOver = (id: string) => !['waiting', 'running'].includes(status.cohorts[id]!);
        const again = known.filter(({ id }) => ids.includes(id) && isOver(id));
        for (const { id } of again) {
          status.cohorts[id] = 'waiting';
          attempts[id] = (attempts[id] ?? 0) + 1;
        }
        queue.push(...again);
      },
    },
    input,
  );

  /** Decides what the search can, and returns the cohorts that follow from it. */
  async function decide(): Promise<CohortRef[]> {
    changes.isPlanning = true;
    decidedAt = ended;
    const decided = await long.decideChoices(plan);
    changes.isPlanning = false;
    hasSearch = decided.hasSearch;
    decidesEarly = decided.decidesEarly === true;
    return takeOver(decided.planDigest, decided.cohorts);
  }

  const isGoingOn = () => errors.length === 0 && budget.spent === null && !isCut();
  const mayDecideEarly = () => decidesEarly && inProgress > 0 && isGoingOn();

  /**
   * Waits for a cohort to end, unless there is another one to start before, and decides what the
   * search can by then, so that trainers need not wait for its slowest trial.
   */
  async function decideEarly(isThere: () => boolean): Promise<void> {
    // A trial that is to run again may change what is decided.
    const mayDecide = () => ended > decidedAt && changes.areDone;
    do await condition(() => isThere() || mayDecide());
    while (!isThere() && !mayDecide());
    if (isThere() || !isGoingOn()) return;
    try {
      queue.push(...(await decide()));
    } catch (error) {
      // Cohorts are at work, which end before the sweep does.
      errors.push(error);
      changes.isPlanning = false;
    }
  }

  const isCut = () =>
    status.mode === 'cancel' ||
    changes.missing.size > 0 ||
    Object.values(status.cohorts).includes('cancelled');
  queue = frugal ? await findUnfinished() : [...input.cohorts];
  changes.begin();
  for (;;) {
    await runCohorts(queue);
    if (historyIsLong) break;
    // What was asked for is in the plan before the sweep ends, however that is.
    await condition(() => changes.areDone);
    if (budget.spent !== null && status.mode !== 'cancel') break;
    queue = known.filter(({ id }) => status.cohorts[id] === 'waiting');
    if (queue.length > 0) continue;
    if (!hasSearch || budget.spent !== null || isCut()) break;
    const { planDigest } = plan;
    queue = await decide();
    // Trials that were cancelled, for example, say nothing of their values.
    if (plan.planDigest === planDigest && changes.areDone) break;
  }
  changes.isEnding = true;
  if (budget.spent !== null && (hasSearch || Object.values(status.cohorts).includes('waiting')))
    status.stopped = budget.spent;
  else if (hasSearch && isCut()) status.stopped = 'cancelled during its search';
  else if (hasSearch && !historyIsLong)
    status.stopped = 'a trial of its search has no result; start it again';
  show(status.stopped === undefined ? 'ended' : 'stopped');
  await report.finish();
  await condition(allHandlersFinished);
  if (historyIsLong && budget.spent === null) {
    const { mode, done, failed, cancelled } = status;
    const earlier = { mode, done, failed, cancelled };
    const next = { ...input, planDigest: plan.planDigest, cohorts: known, hasSearch, earlier };
    if (input.decidesEarly || decidesEarly) next.decidesEarly = decidesEarly;
    Object.assign(next, changes.pending.length > 0 && { changes: changes.pending });
    Object.assign(next, changes.missing.size > 0 && { missing: [...changes.missing] });
    Object.assign(next, Object.keys(attempts).length > 0 && { attempts });
    await continueAsNew<typeof sweep>(next);
  }
  return status;
}
