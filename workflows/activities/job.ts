/**
 * Watches a trainer's job: submits it, follows its events, heartbeats, and returns how it ended.
 *
 * A stream is a view of a job, never its owner. When this activity is retried (the worker died, the
 * server was away, a timeout), it submits the same job id, finds the running job, and reads its log
 * from the start. Everything here is a fold over that log, so nothing is counted twice. A broken
 * stream continues from its cursor; after any other error, the job is submitted and its log read
 * from the start again, so a trainer that has forgotten the job gets it anew.
 */
import { Context } from '@temporalio/activity';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { writeWhenThereIsRoom } from '../../common/disk-space';
import { readPlan } from '../../orchestrator/store/plan-store';
import { findCohort } from '../../orchestrator/sweep/lookup';
import type { Plan } from '../../orchestrator/sweep/types';
import {
  connectTrainer,
  TrainerError,
  type TrainerClient,
} from '../../orchestrator/trainer-client/client';
import { jobId, jobSpecFor, specDigest } from '../../orchestrator/trainer-client/spec';
import type { JobOutcome, JobRef } from '../messages';
import { JobLog } from './job-log';
import type { WorkerSetup } from './worker-setup';

/**
 * Between heartbeats and progress writes: well within the heartbeat timeout that
 * workflows/cohort.ts sets.
 */
const BEAT_MS = 1000;
/** How long to wait before retrying a full queue, unless the trainer says. */
const QUEUE_RETRY_MS = 5000;
/** The pause after an error; it doubles with each one that follows. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** While nobody answers, asking costs nothing, and a restarted trainer should not stand idle. */
const LONGEST_PAUSE_UNREACHABLE_MS = 5000;
/** An error after this long a time without one is a new one. */
const STEADY_MS = 60_000;

/**
 * Runs a job to its end and returns how it ended. Waits out whatever is not a refusal, and says in
 * the progress file what it waits for.
 */
export async function runJob(setup: WorkerSetup, ref: JobRef): Promise<JobOutcome> {
  const context = Context.current();
  const plan = await readPlan(setup.root, ref.sweepId, ref.planDigest);
  const job = describeJob(plan, ref);
  let log = new JobLog(setup.root, ref);
  // A failed write of progress must not end the watch: the file is only for people, and the next
  // second rewrites it.
  const saveProgress = () =>
    log
      .saveProgress()
      .catch((error: unknown) => void context.log.warn('progress not written', { error }));
  const beat = setInterval(() => {
    context.heartbeat({ jobId: job.id, logId: log.logId, lastSequence: log.lastSequence });
    void saveProgress();
  }, BEAT_MS);
  const trainer = connectTrainer(ref.trainer?.address ?? setup.trainer, { tls: ref.trainer?.tls });
  try {
    for (let errors = 1; ; errors++) {
      const began = Date.now();
      try {
        await followJob(trainer, job, log);
        break;
      } catch (error) {
        if (context.cancellationSignal.aborted) await context.cancelled;
        if (!(error instanceof TrainerError)) throw error;
        if (error.refused) return describeRefusal(error);
        if (Date.now() - began > STEADY_MS) errors = 1;
        log = log.startOver();
        hold(log, error, errors);
        await saveProgress();
        await context.sleep(findPause(error, errors));
      }
    }
    return await writeWhenThereIsRoom(
      setup.root,
      () => log.finish(),
      (reason) => {
        context.cancellationSignal.throwIfAborted();
        log.fullDisk(reason);
      },
    );
  } finally {
    clearInterval(beat);
    trainer.close();
  }
}

/** Submits the job, or finds it, and follows it to its end. Throws TrainerError. */
async function followJob(
  trainer: TrainerClient,
  { id, digest, spec }: ReturnType<typeof describeJob>,
  log: JobLog,
): Promise<void> {
  await trainer.submitJob(id, digest, spec);
  const watch = { signal: Context.current().cancellationSignal };
  for await (const { payload } of trainer.watchJob(id, watch)) {
    if (payload?.$case === 'event') log.add(payload.value);
    if (payload?.$case === 'heartbeat') log.waiting(payload.value);
  }
}

/** Says what a job waits for. */
function hold(log: JobLog, error: TrainerError, errors: number): void {
  const { code, message, queueFull, unreachable } = error;
  if (queueFull) return log.hold('queued', `the trainer's queue is full (${message})`);
  const times = errors > 1 ? `, ${errors} times` : '';
  log.hold(unreachable ? 'unreachable' : 'failing', `${code}${times}: ${message}`);
}

function findPause({ queueFull, unreachable, retryAfterMs }: TrainerError, errors: number): number {
  if (retryAfterMs !== undefined) return retryAfterMs;
  if (queueFull) return QUEUE_RETRY_MS;
  const longest = unreachable ? LONGEST_PAUSE_UNREACHABLE_MS : LONGEST_PAUSE_MS;
  return Math.min(FIRST_PAUSE_MS * 2 ** (errors - 1), longest);
}

/** A refused job, with the fields that the trainer names. */
function describeRefusal({ message, fieldViolations }: TrainerError): JobOutcome {
  const fields = fieldViolations.map(({ field, description }) => `${field}: ${description}`);
  const failure = { reason: 'refused', message: [message, ...fields].join('; ') };
  return { state: 'failed', failure, failedTrials: {} };
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
  const trainer = connectTrainer(ref.trainer?.address ?? setup.trainer, { tls: ref.trainer?.tls });
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
