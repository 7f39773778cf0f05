/** Follows a job once, from its submission to its end, with the files that have to move for it. */
import { Context } from '@temporalio/activity';
import { writeWhenThereIsRoom } from '../../common/disk-space';
import { artifactRootId } from '../../common/files';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { JobState } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { findCohort } from '../../orchestrator/sweep/lookup';
import type { Plan } from '../../orchestrator/sweep/types';
import { findAccess, findObstacle } from '../../orchestrator/trainer-client/access';
import type { ArtifactClient } from '../../orchestrator/trainer-client/artifacts';
import { checkPlan } from '../../orchestrator/trainer-client/capabilities';
import { TrainerError, type TrainerClient } from '../../orchestrator/trainer-client/client';
import type { ByteCounter } from '../../orchestrator/trainer-client/moved-bytes';
import { placeBackbone, placedName } from '../../orchestrator/trainer-client/placed-backbone';
import { TransferFailed } from '../../orchestrator/trainer-client/transfer-failed';
import { jobId, jobSpecFor, specDigest } from '../../orchestrator/trainer-client/spec';
import type { JobRef } from '../messages';
import { CheckpointFetcher } from './checkpoint-fetcher';
import type { JobLog } from './job-log';
import { RemoteFiles } from './remote-files';
import { HeldTrials } from './held-trials';
import { sendStoppably } from './stop-requests';
import { traceHeaders } from './trace';
import type { WorkerSetup } from './worker-setup';

export interface Connection {
  trainer: TrainerClient;
  artifacts: ArtifactClient;
  counter: ByteCounter;
}

/** A trainer that cannot run this sweep. */
export class Unsuitable extends Error {
  override readonly name = 'Unsuitable';
}

type Job = ReturnType<typeof describeJob>;

/** The job that a reference means for a trainer that can do this and sees so much of the root. */
export function describeJob(
  plan: Plan,
  ref: JobRef,
  address: string,
  capabilities: Capabilities,
  root: string,
) {
  const access = findAccess(address, capabilities, artifactRootId(root));
  const backbonePath = access === 'same' ? plan.backbone.path : placedName(plan.backbone);
  const cohort = findCohort(plan, ref.cohortId);
  const step = ref.step ?? cohort.until_step ?? 0;
  const options = { backbonePath, untilStep: step, atStep: step };
  const spec = jobSpecFor(plan, cohort, ref.trials, ref.work, options);
  const digest = specDigest(spec);
  return { id: jobId(digest, ref.generation), digest, spec, access };
}

/**
 * Submits the job, or finds it, and follows it until it has ended and its results are here.
 *
 * @throws TrainerError; TransferFailed or Unsuitable if another try would change nothing;
 *   StopRequest if it was stopped before it was submitted
 */
export async function followJob(
  { trainer, artifacts, counter }: Connection,
  setup: WorkerSetup,
  plan: Plan,
  ref: JobRef,
  log: JobLog,
): Promise<void> {
  const { root } = setup;
  const { address } = trainer;
  const capabilities = await trainer.getCapabilities();
  const obstacle = findObstacle(address, capabilities, { path: root, id: artifactRootId(root) });
  if (obstacle !== undefined) throw new Unsuitable(obstacle);
  // It may have joined after the start, which asked those that were there.
  const lacking = ref.trainer === undefined ? [] : checkPlan(plan, capabilities);
  if (lacking.length > 0) throw new Unsuitable(lacking.join('; '));
  const job = describeJob(plan, ref, address, capabilities, root);
  if (job.access === 'shared') await placeBackbone(root, plan.backbone);
  if (job.access !== 'own') {
    await watch(trainer, job, log, (trial, step) => log.keepUntil(trial, step));
    return;
  }
  const files = new RemoteFiles(artifacts, {
    ...{ root, spec: job.spec, work: ref.work },
    ...{ backbonePath: plan.backbone.path, remoteRootId: capabilities.artifactRootId },
    onSent: (bytes) => counter.addSent(bytes),
    onReceived: (bytes) => counter.addReceived(bytes),
  });
  const held = new HeldTrials(
    root,
    (note) => log.hold('waiting', note),
    (text) => void Context.current().log.warn(text),
  );
  try {
    await runRemotely(trainer, job, log, { files, held }, setup);
  } finally {
    held.release();
  }
}

/** Runs a job on a trainer with a root of its own, as the one writer of its trials in this one. */
async function runRemotely(
  trainer: TrainerClient,
  job: Job,
  log: JobLog,
  { files, held }: { files: RemoteFiles; held: HeldTrials },
  { root, fetchSeconds }: WorkerSetup,
): Promise<void> {
  const context = Context.current();
  const { cancellationSignal: signal } = context;
  const warn = (error: unknown): void => void context.log.warn('not fetched', { error });
  const trials = job.spec.trials.map(({ trialId }) => trialId);
  if (await isToRun(trainer, job.id))
    await sendStoppably(job.id, signal, async (stoppable) => {
      await held.take(trials, stoppable);
      await files.send(log, stoppable);
    });
  else await held.take(trials, signal);
  const fetcher = new CheckpointFetcher(
    () => log.checkpoints,
    async (checkpoint, stopping) => {
      await files.fetchCheckpoint(checkpoint, stopping);
      log.keepUntil(checkpoint.trialId, checkpoint.step);
    },
    warn,
    fetchSeconds,
  );
  try {
    await watch(trainer, job, log, () => undefined);
  } finally {
    await fetcher.stop();
  }
  // Why the job ended counts for more than what its trainer lacks.
  const fetchIfWhole = async (fetch: () => Promise<void>): Promise<void> => {
    try {
      await fetch();
    } catch (error) {
      if (log.ended === 'succeeded' || !(error instanceof TransferFailed)) throw error;
      warn(error);
    }
  };
  const fetchAll = async (): Promise<void> => {
    await fetchIfWhole(() => files.fetchResults(log, signal));
    // What was trained in part goes on from its checkpoint, here or at another trainer.
    const isPart = job.spec.work?.$case === 'train' && job.spec.work.value.untilStep > 0;
    const isOver = log.ended === 'cancelled' || (log.ended === 'succeeded' && !isPart);
    if (!isOver)
      await fetchIfWhole(() =>
        fetcher.fetchNewest((trial) => isPart || !log.reported.has(trial), signal),
      );
  };
  if (log.ended === 'interrupted') {
    // It goes on where it is, unless its trainer is gone for good.
    await fetchAll().catch((error: unknown) => {
      signal.throwIfAborted();
      warn(error);
    });
    return;
  }
  await writeWhenThereIsRoom(root, fetchAll, (reason) => {
    signal.throwIfAborted();
    log.fullDisk(reason);
  });
}

/** Whether the job is still to be run, so that its trainer needs what it reads. */
async function isToRun(trainer: TrainerClient, id: string): Promise<boolean> {
  try {
    return (await trainer.getJob(id)).state === JobState.JOB_STATE_INTERRUPTED;
  } catch (error) {
    if (error instanceof TrainerError && error.notFound) return true;
    throw error;
  }
}

/** Submits the job, or finds it, and follows it to its end. */
async function watch(
  trainer: TrainerClient,
  { id, digest, spec }: Job,
  log: JobLog,
  onCheckpoint: (trial: string, step: number) => void,
): Promise<void> {
  const { job, created } = await trainer.submitJob(id, digest, spec, traceHeaders());
  if (!created) log.steps.watchFrom(job.lastSequence);
  const options = { signal: Context.current().cancellationSignal };
  for await (const { payload } of trainer.watchJob(id, options)) {
    if (payload?.$case === 'heartbeat') log.waiting(payload.value);
    if (payload?.$case !== 'event') continue;
    log.add(payload.value);
    const { kind } = payload.value;
    if (kind?.$case === 'checkpointWritten') onCheckpoint(kind.value.trialId, kind.value.step);
  }
}
