/** A sweep: prepare data sets, run cohorts within the parallel limit, write the report. */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  ParentClosePolicy,
  proxyActivities,
  setHandler,
  startChild,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import type { Activities } from './activities';
import { cohort } from './cohort';
import { FailureBudget } from './failure-budget';
import {
  modeSignal,
  setModeUpdate,
  statusQuery,
  type Mode,
  type SweepInput,
  type SweepStatus,
} from './messages';
import { rootMessage } from './root-message';

/** Tokenizes; heartbeats while it does. */
const preparing = proxyActivities<Pick<Activities, 'prepareData'>>({
  startToCloseTimeout: '6 hours',
  heartbeatTimeout: '30 seconds',
  retry: { maximumInterval: '20 seconds', nonRetryableErrorTypes: ['ConfigError'] },
});
const short = proxyActivities<Pick<Activities, 'writeSweepReport' | 'failCohort'>>({
  startToCloseTimeout: '1 minute',
  retry: { maximumInterval: '20 seconds', nonRetryableErrorTypes: ['ConfigError'] },
});

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
  const { sweepId, planDigest, run } = input;
  const status: SweepStatus = { mode: 'run', cohorts: {}, done: 0, failed: 0, cancelled: 0 };
  for (const { id } of input.cohorts) status.cohorts[id] = 'waiting';
  const children = new Map<string, ChildWorkflowHandle<typeof cohort>>();
  const prepared = new Map<string, Promise<void>>();
  let inProgress = 0;
  let signalled: Mode = 'run';
  const budget = new FailureBudget(input.maxFailures ?? 0);
  cancelRequested.catch(() => (status.mode = 'cancel'));

  setHandler(statusQuery, () => status);
  setHandler(
    setModeUpdate,
    (mode) => {
      const before = status.mode;
      status.mode = mode;
      return before;
    },
    {
      validator: (mode) => {
        if (status.mode === 'cancel' && mode !== 'cancel')
          throw ApplicationFailure.create({ message: 'the sweep is being cancelled' });
      },
    },
  );

  /**
   * Prepares each data set once, when its first cohort needs it. A failure reaches every cohort
   * that waits for it.
   */
  function prepareOnce(dataset: string): Promise<void> {
    let promise = prepared.get(dataset);
    if (!promise) {
      promise = preparing.prepareData({ sweepId, planDigest, dataset });
      prepared.set(dataset, promise);
    }
    return promise;
  }

  async function runCohort(id: string, dataset: string): Promise<void> {
    try {
      // A cancelled sweep still writes a result file for each trial, but needs no data for it.
      if (status.mode !== 'cancel') await prepareOnce(dataset);
      const mode = status.mode;
      const child = await startChild(cohort, {
        // The sweep's id makes the child's unique, because children cannot be started with "use
        // existing".
        workflowId: `${sweepId}/${run}/${id}`,
        args: [{ sweepId, planDigest, run, cohortId: id, mode }],
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      });
      children.set(id, child);
      // The mode may have changed while the child was starting and could not be signalled.
      if (status.mode !== mode) await child.signal(modeSignal, status.mode).catch(() => undefined);
      const outcome = await child.result();
      status.done += outcome.done;
      status.failed += outcome.failed;
      status.cancelled += outcome.cancelled;
      status.cohorts[id] = outcome.cancelled > 0 ? 'cancelled' : 'done';
      budget.note(outcome);
    } catch (error) {
      const outcome = await short.failCohort({
        sweepId,
        planDigest,
        cohortId: id,
        message: rootMessage(error),
      });
      status.failed += outcome.failed;
      status.cohorts[id] = 'failed';
      budget.note(outcome);
    } finally {
      children.delete(id);
      inProgress--;
    }
    await short.writeSweepReport({ sweepId, planDigest });
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

  const running: Promise<void>[] = [];
  const errors: unknown[] = [];
  for (const { id, dataset } of input.cohorts) {
    // Prepare rows while their cohort waits for its turn; runCohort handles a failure.
    if (status.mode === 'run') prepareOnce(dataset).catch(() => undefined);
    await condition(
      () =>
        errors.length > 0 ||
        budget.spent !== null ||
        status.mode === 'cancel' ||
        (status.mode === 'run' && inProgress < input.maxParallel),
    );
    if (errors.length > 0) break;
    if (budget.spent !== null && status.mode !== 'cancel') break;
    status.cohorts[id] = 'running';
    inProgress++;
    running.push(runCohort(id, dataset).catch((error: unknown) => void errors.push(error)));
  }
  await Promise.all(running);
  if (errors.length > 0) throw errors[0];
  if (budget.spent !== null && Object.values(status.cohorts).includes('waiting'))
    status.stopped = budget.spent;
  await short.writeSweepReport({ sweepId, planDigest });
  await condition(allHandlersFinished);
  return status;
}
