/** Takes some trials of a cohort through their stages on one trainer: prune, train, predict. */
import {
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
  sleep,
} from '@temporalio/workflow';
import type { Activities } from './activities';
import {
  CANCELLED,
  type Failed,
  type JobOutcome,
  type JobRef,
  type Mode,
  type Work,
} from './messages';
import type { HeldTrainer } from './leases';

/** A few files, or one question to a trainer: what does not report back in a minute is retried. */
const short = proxyActivities<
  Pick<Activities, 'cancelJob' | 'listEvaluations' | 'evaluateOnTheWay'>
>({
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
  // The next trainer must not write what this one still does.
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
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
/** Reasons that may be the trainer's own. */
const OF_THE_TRAINER = ['internal', 'quarantined', 'out_of_memory'];

/** A cohort, as its parts see it. */
export interface PartOf {
  plan: { sweepId: string; planDigest: string; cohortId: string };
  /** Whether its trials are evaluated on the way. */
  isEvaluated: boolean;
  mode(): Mode;
  /** Whether a trial was cancelled, while the others go on. */
  isDropped(trial: string): boolean;
  /** Whether a cancelled trial ends although it waits for a trainer. */
  dropEndsWait(): boolean;
  /** A new generation of job ids. */
  nextGeneration(): string;
  /** Whether these trials may have another try at another trainer. */
  mayTryElsewhere(trials: readonly string[]): boolean;
}

/** Why a part came back before its end. */
export type Return = {
  why: 'paused' | 'revoked' | 'unfit' | 'failing';
  message: string | null;
  /** The job that may still run. */
  job: JobRef | null;
};

/** How a part ended. */
export interface PartEnd {
  failed: Record<string, Failed>;
  returned: Return | null;
  /** As in JobOutcome. */
  rowsPerSecond?: number;
}

/**
 * Runs the trials' stages. Trials that failed have their reason in `failed`; the others came
 * through unless the part was given back.
 *
 * @param held the trainer, which may be revoked; null in cohorts of an earlier version, which wait
 *   here while they are paused
 */
export async function runPart(
  cohort: PartOf,
  trials: readonly string[],
  held: HeldTrainer | null,
): Promise<PartEnd> {
  const failed: Record<string, Failed> = {};
  let rowsPerSecond: number | undefined;

  /**
   * Runs a job, and stops it when the mode says so. The activity that watches it then ends by
   * itself, with the job's state.
   */
  async function runUnderMode(job: JobRef): Promise<JobOutcome> {
    let ended = false;
    const isSmaller = () => job.trials.some((trial) => cohort.isDropped(trial));
    const shouldRun = () => cohort.mode() === 'run' && !isSmaller();
    const stopper = (async () => {
      await condition(() => ended || !shouldRun());
      while (!ended) {
        await short.cancelJob(job, cohort.mode() === 'cancel' ? 'abort' : 'checkpoint');
        const asked = cohort.mode();
        // The job may not have been submitted yet, so ask until the watcher ends.
        await condition(() => ended || cohort.mode() !== asked, '5 seconds');
        if (shouldRun()) await condition(() => ended || !shouldRun());
      }
    })();
    stopper.catch(() => undefined); // thrown below
    try {
      return await long.runJob.executeWithOptions({ summary: describeJob(job) }, [job]);
    } finally {
      ended = true;
      await stopper;
    }
  }

  /** The job's outcome; null once the trainer was revoked. */
  async function runUnlessRevoked(job: JobRef): Promise<JobOutcome | null> {
    if (held === null) return runUnderMode(job);
    if (held.revoked) return null;
    const scope = new CancellationScope();
    held.onRevoked = () => scope.cancel();
    try {
      return await scope.run(() => runUnderMode(job));
    } catch (error) {
      if (held.revoked && isCancellation(error)) return null;
      throw error;
    } finally {
      held.onRevoked = () => undefined;
    }
  }

  /** Null if these trials are through, or failed. */
  async function runStage({ work, step }: Stage, all: string[]): Promise<Return | null> {
    let generation = cohort.nextGeneration();
    let retries = 0;
    let some = all;
    for (let interruptions = 0; interruptions < INTERRUPTION_LIMIT;) {
      markAll(
        some.filter((trial) => cohort.isDropped(trial)),
        CANCELLED,
      );
      some = some.filter((trial) => !cohort.isDropped(trial));
      if (some.length === 0) return null;
      if (held !== null && cohort.mode() === 'pause')
        return { why: 'paused', message: null, job: null };
      await condition(() => cohort.mode() !== 'pause');
      if (cohort.mode() === 'cancel') return markAll(some, CANCELLED);
      const job: JobRef = {
        ...cohort.plan,
        trials: some,
        work,
        ...(step === undefined ? {} : { step }),
        generation,
        ...(held === null ? {} : { trainer: held.lease.trainer, part: held.part }),
      };
      const outcome = await runUnlessRevoked(job);
      if (outcome === null) return { why: 'revoked', message: 'the trainer was away', job };
      if (outcome.state === 'succeeded') {
        Object.assign(failed, outcome.failedTrials);
        rowsPerSecond = outcome.rowsPerSecond ?? rowsPerSecond;
        return null;
      }
      if (outcome.state === 'interrupted') {
        if (cohort.mode() === 'run' && !some.some((trial) => cohort.isDropped(trial))) {
          interruptions++;
          await sleep('1 second');
        }
        continue;
      }
      if (outcome.state === 'cancelled') return markAll(some, CANCELLED);
      const failure = outcome.failure ?? {
        reason: 'internal',
        message: 'the trainer gave no reason',
      };
      if (outcome.state === 'unfit' && held !== null)
        return { why: 'unfit', message: failure.message, job: null };
      if (some.length > 1 && ['out_of_memory', 'quarantined'].includes(failure.reason)) {
        // A trial's results do not depend on its neighbours, so two halves give the same numbers in
        // less memory.
        const half = Math.ceil(some.length / 2);
        return (
          (await runStage({ work, step }, some.slice(0, half))) ??
          (await runStage({ work, step }, some.slice(half)))
        );
      }
      if (failure.reason === 'internal' && retries < INTERNAL_RETRIES) {
        retries++;
        generation = cohort.nextGeneration();
        continue;
      }
      const isElsewhereBetter =
        held?.lease.hasOthers === true && OF_THE_TRAINER.includes(failure.reason);
      if (isElsewhereBetter && cohort.mayTryElsewhere(some))
        return { why: 'failing', message: `${failure.reason}: ${failure.message}`, job: null };
      return markAll(some, failure);
    }
    const message = `interrupted ${INTERRUPTION_LIMIT} times`;
    return markAll(some, { reason: 'interrupted', message });
  }

  function markAll(some: readonly string[], failure: Failed): null {
    for (const trial of some) failed[trial] = failure;
    return null;
  }

  const listAlive = (some = trials) => some.filter((trial) => !(trial in failed));

  /** The same for the stages of some trials, one after the other. */
  async function runStages(stages: readonly Stage[], some = trials): Promise<Return | null> {
    for (const stage of stages) {
      const alive = listAlive(some);
      const returned = alive.length > 0 ? await runStage(stage, alive) : null;
      if (returned !== null) return returned;
    }
    return null;
  }

  /** Trains and predicts until each step where trials are still to be evaluated. */
  async function evaluateOnTheWay(): Promise<Return | null> {
    const alive = listAlive();
    if (!cohort.isEvaluated || alive.length === 0) return null;
    const left = await short.listEvaluations({ ...cohort.plan, trials: alive });
    for (const { step, trials: some } of left) {
      const stages: Stage[] = [
        { work: 'train', step },
        { work: 'predict', step },
      ];
      const returned = await runStages(stages, some);
      if (returned !== null) return returned;
      const through = listAlive(some);
      if (through.length > 0)
        await short.evaluateOnTheWay({ ...cohort.plan, trials: through, step });
    }
    return null;
  }

  const returned =
    (await runStages([{ work: 'prune' }])) ??
    (await evaluateOnTheWay()) ??
    (await runStages([{ work: 'train' }, { work: 'predict' }]));
  if (returned !== null) return { failed, returned };
  return { failed, returned: null, ...(rowsPerSecond === undefined ? {} : { rowsPerSecond }) };
}

interface Stage {
  work: Work;
  /** As in JobRef. */
  step?: number;
}

/** For Temporal's pages: `train 10 trials on trainer-2`. */
function describeJob({ work, trials, step, trainer }: JobRef): string {
  const size = trials.length === 1 ? `trial ${trials[0]}` : `${trials.length} trials`;
  const place = step === undefined ? '' : ` ${work === 'train' ? 'until' : 'at'} step ${step}`;
  return `${work} ${size}${place}${trainer === undefined ? '' : ` on ${trainer.name}`}`;
}

/** Whether the trainer seems to be at fault: all failed, and for reasons that may be its own. */
export function findTrainerFault(
  trials: readonly string[],
  failed: Record<string, Failed>,
): string | null {
  const reasons = trials.map((trial) => failed[trial]);
  const isAtFault = reasons.every((each) => each && OF_THE_TRAINER.includes(each.reason));
  const [first] = reasons;
  return isAtFault && first ? `${first.reason}: ${first.message}` : null;
}
