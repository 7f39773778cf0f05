/** Takes one cohort through its stages: prune, train, predict, evaluate. */
import {
  CancellationScope,
  condition,
  proxyActivities,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import type { Activities } from './activities';
import {
  CANCELLED,
  modeSignal,
  type CohortInput,
  type CohortOutcome,
  type Failed,
  type JobOutcome,
  type JobRef,
  type Mode,
  type Work,
} from './messages';

/** These read or write a few files, so one that does not report back within a minute is retried. */
const short = proxyActivities<Pick<Activities, 'pendingTrials' | 'evaluateTrials' | 'cancelJob'>>({
  startToCloseTimeout: '1 minute',
  retry: { maximumInterval: '20 seconds', nonRetryableErrorTypes: ['ConfigError'] },
});
/**
 * Watches a job for as long as it runs. A retry finds the same job, so a timeout costs only the
 * wait.
 */
const long = proxyActivities<Pick<Activities, 'runJob'>>({
  startToCloseTimeout: '30 days',
  heartbeatTimeout: '20 seconds',
  retry: {
    initialInterval: '1 second',
    maximumInterval: '10 seconds',
    nonRetryableErrorTypes: ['ConfigError'],
  },
});

/** An internal error of the trainer may be transient; a third one is not. */
const INTERNAL_RETRIES = 2;
/**
 * An interrupted job continues from its checkpoint, so many interruptions are fine, but not endless
 * ones.
 */
const INTERRUPTION_LIMIT = 100;

/**
 * Runs a cohort to its end. Never throws for a trial's failure: every trial ends with a result file
 * that says what happened.
 *
 * A request to cancel the workflow itself, from Temporal's own tools or because its sweep was
 * terminated, means the same as the mode `cancel`.
 */
export async function cohort(input: CohortInput): Promise<CohortOutcome> {
  const { cancelRequested } = CancellationScope.current();
  // Nothing here is cancelled halfway: the job is stopped first, and its watcher ends by itself.
  return CancellationScope.nonCancellable(() => runCohort(input, cancelRequested));
}

async function runCohort(
  input: CohortInput,
  cancelRequested: Promise<never>,
): Promise<CohortOutcome> {
  const { sweepId, planDigest, cohortId, run } = input;
  const plan = { sweepId, planDigest, cohortId };
  let mode: Mode = input.mode;
  let generations = 0;
  cancelRequested.catch(() => (mode = 'cancel'));
  setHandler(modeSignal, (wish) => {
    if (mode !== 'cancel') mode = wish;
  });

  const pending = await short.pendingTrials(plan);
  const failed: Record<string, Failed> = {};

  /**
   * Runs a job, and stops it when the mode says so. The activity that watches it then ends by
   * itself, with the job's state.
   */
  async function runUnderMode(job: JobRef): Promise<JobOutcome> {
    let ended = false;
    const stopper = (async () => {
      await condition(() => ended || mode !== 'run');
      while (!ended) {
        await short.cancelJob(job, mode === 'pause' ? 'checkpoint' : 'abort');
        const asked = mode;
        // The job may not have been submitted yet, so ask until the watcher ends.
        await condition(() => ended || mode !== asked, '5 seconds');
        if (mode === 'run') await condition(() => ended || mode !== 'run');
      }
    })();
    try {
      return await long.runJob(job);
    } finally {
      ended = true;
      await stopper;
    }
  }

  async function runStage(work: Work, trials: string[]): Promise<void> {
    let generation = generations++;
    let retries = 0;
    for (let interruptions = 0; interruptions < INTERRUPTION_LIMIT;) {
      await condition(() => mode !== 'pause');
      if (mode === 'cancel') return markAll(trials, CANCELLED);
      const outcome = await runUnderMode({
        ...plan,
        trials,
        work,
        generation: `${run}-${generation}`,
      });
      if (outcome.state === 'succeeded') {
        Object.assign(failed, outcome.failedTrials);
        return;
      }
      if (outcome.state === 'interrupted') {
        if (mode === 'run') {
          interruptions++;
          await sleep('1 second');
        }
        continue;
      }
      if (outcome.state === 'cancelled') return markAll(trials, CANCELLED);
      const failure = outcome.failure ?? {
        reason: 'internal',
        message: 'the trainer gave no reason',
      };
      if (trials.length > 1 && ['out_of_memory', 'quarantined'].includes(failure.reason)) {
        // A trial's results do not depend on its neighbours, so two halves give the same numbers in
        // less memory.
        const half = Math.ceil(trials.length / 2);
        await runStage(work, trials.slice(0, half));
        return runStage(work, trials.slice(half));
      }
      if (failure.reason === 'internal' && retries < INTERNAL_RETRIES) {
        retries++;
        generation = generations++;
        continue;
      }
      return markAll(trials, failure);
    }
    markAll(trials, { reason: 'interrupted', message: `interrupted ${INTERRUPTION_LIMIT} times` });
  }

  function markAll(trials: string[], failure: Failed): void {
    for (const trial of trials) failed[trial] = failure;
  }

  for (const work of ['prune', 'train', 'predict'] as const) {
    const alive = pending.filter((trial) => !(trial in failed));
    if (alive.length > 0) await runStage(work, alive);
  }
  return short.evaluateTrials({ ...plan, trials: pending, failed });
}
