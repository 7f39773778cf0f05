/**
 * Watches a trainer's job: submits it, follows its events, heartbeats, and returns how it ended.
 *
 * A stream is a view of a job, never its owner. When this activity is retried (the worker died, the
 * server was away, a timeout), it submits the same job id, finds the running job, and reads its log
 * from the start. Everything here is a fold over that log, so nothing is counted twice. Within an
 * attempt, a broken stream continues from its cursor.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { readPlan } from '../../orchestrator/store/sweep-store';
import { findCohort } from '../../orchestrator/sweep/lookup';
import type { Plan } from '../../orchestrator/sweep/types';
import { connectTrainer, TrainerError } from '../../orchestrator/trainer-client/client';
import { jobId, jobSpecFor, specDigest } from '../../orchestrator/trainer-client/spec';
import type { JobOutcome, JobRef } from '../messages';
import { JobLog } from './job-log';
import type { WorkerSetup } from './worker-setup';

/**
 * Between heartbeats and progress writes: well within the heartbeat timeout that
 * workflows/cohort.ts sets.
 */
const BEAT_MS = 1000;
/**
 * A trainer whose work loop has not moved for this long is stuck: the attempt ends and the next one
 * checks again.
 */
const STALL_SECONDS = 600;
/** How long to wait before retrying a full queue, unless the trainer says. */
const QUEUE_RETRY_MS = 5000;

/**
 * Runs a job to its end and returns how it ended. Waits for a trainer that is unreachable, and says
 * so in the progress file.
 */
export async function runJob(setup: WorkerSetup, ref: JobRef): Promise<JobOutcome> {
  const context = Context.current();
  const plan = await readPlan(setup.root, ref.sweepId, ref.planDigest);
  const { id, digest, spec } = describeJob(plan, ref);
  const log = new JobLog(setup.root, ref);
  const beat = setInterval(() => {
    context.heartbeat({ jobId: id, logId: log.logId, lastSequence: log.lastSequence });
    // A failed write of progress must not end the watch: the file is only for people, and the next
    // second rewrites it.
    log
      .saveProgress()
      .catch((error: unknown) => void context.log.warn('progress not written', { error }));
  }, BEAT_MS);
  const trainer = connectTrainer(setup.trainer);
  try {
    await whenReachable(log, () => trainer.submitJob(id, digest, spec));
    const watch = { signal: context.cancellationSignal, stallAfterSeconds: STALL_SECONDS };
    for await (const { payload } of trainer.watchJob(id, watch)) {
      if (payload?.$case === 'event') log.add(payload.value);
      if (payload?.$case === 'heartbeat') log.waiting(payload.value);
    }
    return await log.finish();
  } catch (error) {
    if (context.cancellationSignal.aborted) await context.cancelled;
    if (!(error instanceof TrainerError)) throw error;
    // If the log was lost (the trainer's machine went down), the next attempt reads the new one
    // from its start.
    if (error.retryable || error.code === 'OUT_OF_RANGE') {
      // The workflow does any longer waiting: a retried attempt finds the same job.
      log.unreachable(error.message);
      await log.saveProgress();
      throw ApplicationFailure.retryable(error.message, 'TrainerError');
    }
    return {
      state: 'failed',
      failure: { reason: 'refused', message: describeRefusal(error) },
      failedTrials: {},
    };
  } finally {
    clearInterval(beat);
    trainer.close();
  }
}

/**
 * Asks the job to stop. `checkpoint` lets it continue later. Does nothing if the job was never
 * submitted or has ended.
 */
export async function cancelJob(
  setup: WorkerSetup,
  ref: JobRef,
  mode: 'checkpoint' | 'abort',
): Promise<void> {
  const plan = await readPlan(setup.root, ref.sweepId, ref.planDigest);
  const trainer = connectTrainer(setup.trainer);
  try {
    await trainer.cancelJob(
      describeJob(plan, ref).id,
      mode === 'abort' ? CancelMode.CANCEL_MODE_ABORT : CancelMode.CANCEL_MODE_CHECKPOINT,
    );
  } catch (error) {
    if (!(error instanceof TrainerError && error.notFound)) throw error;
  } finally {
    trainer.close();
  }
}

function describeJob(plan: Plan, ref: JobRef) {
  const spec = jobSpecFor(plan, findCohort(plan, ref.cohortId), ref.trials, ref.work);
  const digest = specDigest(spec);
  return { id: jobId(digest, ref.generation), digest, spec };
}

/** Calls until the trainer answers: an absent trainer gets restarted, and a full queue empties. */
async function whenReachable<T>(log: JobLog, call: () => Promise<T>): Promise<T> {
  const context = Context.current();
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof TrainerError && error.retryable)) throw error;
      if (error.queueFull) log.queueFull(error.message);
      else log.unreachable(error.message);
      await context.sleep(error.retryAfterMs ?? (error.queueFull ? QUEUE_RETRY_MS : 500));
    }
  }
}

/** The refusal, with the fields that the trainer names. */
function describeRefusal(error: TrainerError): string {
  const fields = error.fieldViolations.map(({ field, description }) => `${field}: ${description}`);
  return [error.message, ...fields].join('; ');
}
