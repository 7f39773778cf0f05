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
import { connectArtifacts } from '../../orchestrator/trainer-client/artifacts';
import { connectTrainer, TrainerError } from '../../orchestrator/trainer-client/client';
import { ByteCounter } from '../../orchestrator/trainer-client/moved-bytes';
import { readTrainers, type TrainerSource } from '../../orchestrator/trainer-client/registry';
import { TransferFailed } from '../../orchestrator/trainer-client/transfer-failed';
import type { JobOutcome, JobRef } from '../messages';
import { describeJob, followJob, Unsuitable, type Connection } from './follow-job';
import { JobLog } from './job-log';
import { JobMetrics } from './trainer-metrics';
import { StopRequest, stopSending, type StopMode } from './stop-requests';
import { traceJob } from './trace';
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
  const trainer = await findTrainer(setup, ref);
  return traceJob(ref, trainer.name, () => runOn(trainer, setup, ref));
}

async function runOn(
  { address, tls }: TrainerSource,
  setup: WorkerSetup,
  ref: JobRef,
): Promise<JobOutcome> {
  const context = Context.current();
  const { root } = setup;
  const plan = await readPlan(root, ref.sweepId, ref.planDigest);
  const step = ref.step ?? findCohort(plan, ref.cohortId).until_step;
  let log = await JobLog.begin(root, ref, step);
  const counter = ByteCounter.of(root, address);
  const metrics = new JobMetrics(context.metricMeter, ref.trainer?.name ?? address, ref);
  // A failed write of progress must not end the watch: the file is only for people, and the next
  // second rewrites it.
  const saveProgress = () =>
    Promise.all([log.saveProgress(), counter.save()]).catch(
      (error: unknown) => void context.log.warn('progress not written', { error }),
    );
  const beat = setInterval(() => {
    const { logId, lastSequence } = log;
    context.heartbeat({ trainer: address, logId, lastSequence });
    metrics.note(log, counter);
    void saveProgress();
  }, BEAT_MS);
  const connection: Connection = {
    trainer: connectTrainer(address, { tls }),
    artifacts: connectArtifacts(address, { tls }),
    counter,
  };
  try {
    for (let errors = 1; ; errors++) {
      const [began, moved] = [Date.now(), counter.moved];
      try {
        await followJob(connection, setup, plan, ref, log);
        break;
      } catch (error) {
        if (context.cancellationSignal.aborted) await context.cancelled;
        const outcome = asOutcome(error, ref.trainer !== undefined);
        if (outcome) return outcome;
        if (!(error instanceof TrainerError)) throw error;
        if (Date.now() - began > STEADY_MS || counter.moved > moved) errors = 1;
        log = await log.startOver();
        hold(log, error, errors);
        await saveProgress();
        await context.sleep(findPause(error, errors));
      }
    }
    return await writeWhenThereIsRoom(
      root,
      () => log.finish(),
      (reason) => {
        context.cancellationSignal.throwIfAborted();
        log.fullDisk(reason);
      },
    );
  } finally {
    clearInterval(beat);
    metrics.note(log, counter);
    metrics.end();
    await saveProgress();
    connection.trainer.close();
    connection.artifacts.close();
  }
}

async function findTrainer({ root, trainer }: WorkerSetup, ref: JobRef): Promise<TrainerSource> {
  if (ref.trainer) return ref.trainer;
  const [first] = (await readTrainers(root)).trainers;
  return first ?? { name: 'trainer', address: trainer };
}

/** What an error comes to; undefined if another try may succeed. isPlaced: by the pool. */
function asOutcome(error: unknown, isPlaced: boolean): JobOutcome | undefined {
  if (error instanceof TrainerError && error.refused) return describeRefusal(error);
  const ended = (state: JobOutcome['state'], failure: JobOutcome['failure'] = null) => ({
    ...{ state, failure, failedTrials: {} },
  });
  if (error instanceof Unsuitable)
    return ended(isPlaced ? 'unfit' : 'failed', { reason: 'refused', message: error.message });
  // A new job makes the trainer look again at what it has.
  if (error instanceof TransferFailed)
    return ended('failed', { reason: 'internal', message: error.message });
  if (error instanceof StopRequest)
    return ended(error.mode === 'abort' ? 'cancelled' : 'interrupted');
  return undefined;
}

/** Says what a job waits for. */
function hold(log: JobLog, error: TrainerError, errors: number): void {
  const { code, message, queueFull, unreachable } = error;
  if (code === 'ABORTED') return log.hold('waiting', message);
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
export async function cancelJob(setup: WorkerSetup, ref: JobRef, mode: StopMode): Promise<void> {
  const { root } = setup;
  const plan = await readPlan(root, ref.sweepId, ref.planDigest);
  const { address, tls } = await findTrainer(setup, ref);
  const trainer = connectTrainer(address, { tls });
  try {
    const { id } = describeJob(plan, ref, address, await trainer.getCapabilities(), root);
    stopSending(id, mode);
    await trainer.cancelJob(
      id,
      mode === 'abort' ? CancelMode.CANCEL_MODE_ABORT : CancelMode.CANCEL_MODE_CHECKPOINT,
    );
  } catch (error) {
    if (!(error instanceof TrainerError && error.notFound)) throw error;
  } finally {
    trainer.close();
  }
}
