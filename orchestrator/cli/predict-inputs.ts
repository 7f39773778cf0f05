/** Predicts rows without labels with a finished trial's adapter, by a job of a trainer. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../common/make-folder';
import { writeJsonDurably } from '../../common/durable-files';
import { JobState, type Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { CancelMode } from '../../gen/ts/sparse_adapter/trainer/v1/trainer';
import { UserError } from '../base/errors';
import { datasetPath } from '../datasets/splits';
import { OpenBackbone } from '../export/open-backbone';
import type { FinishedTrial } from '../export/trained-trial';
import { trialDir } from '../store/sweep-store';
import type { Plan, PlannedDataset } from '../sweep/types';
import type { InputPlace, InputSplit } from '../tasks/inputs';
import { checkTokenizer } from '../tasks/prepare';
import { TrainerError, type TrainerClient, type WatchOptions } from '../trainer-client/client';
import { jobId, jobSpecFor, specDigest } from '../trainer-client/spec';
import { tidyOnInterrupt } from './tidy-on-interrupt';

/** The time in which a cancelled job has to end. */
const CANCEL_MS = 5000;

type UseTrainer = <T>(
  signal: AbortSignal,
  work: (trainer: TrainerClient) => Promise<T>,
) => Promise<T>;

type ReadPredictions<Split, Read> = (
  predictions: string,
  split: Split,
  at: InputPlace<PlannedDataset>,
) => Read | Promise<Read>;

/**
 * Writes rows as a data set of their own, lets the trainer predict them, and reads each split's
 * predictions. Nothing of it stays, also if the command is interrupted.
 *
 * @param write writes the splits
 * @param read what is made of a split's file of predictions
 */
export async function predictInputs<Split extends InputSplit, Read>(
  finished: FinishedTrial,
  useTrainer: UseTrainer,
  write: (to: InputPlace<PlannedDataset>) => Promise<Split[]>,
  read: ReadPredictions<Split, Read>,
): Promise<Read[]> {
  return tidyOnInterrupt((signal) => predictOnce(finished, useTrainer, write, read, signal));
}

async function predictOnce<Split extends InputSplit, Read>(
  finished: FinishedTrial,
  useTrainer: UseTrainer,
  write: (to: InputPlace<PlannedDataset>) => Promise<Split[]>,
  read: ReadPredictions<Split, Read>,
  signal: AbortSignal,
): Promise<Read[]> {
  const { root, trial, dataset, backbone } = finished;
  await OpenBackbone.open(backbone);
  checkTokenizer(dataset, backbone.path);
  const digest = randomUUID().replaceAll('-', '');
  const folder = datasetPath(root, digest);
  const predictions = ({ split }: Split) =>
    join(trialDir(root, trial.id), `predictions.${split}.safetensors`);
  let splits: Split[] = [];
  try {
    makeFolder(folder);
    const mark = digest.slice(0, 8);
    const place = { folder, mark, dataset, backbonePath: backbone.path };
    splits = await write(place);
    signal.throwIfAborted();
    await writeJsonDurably(join(folder, 'dataset.json'), { digest, splits });
    const plan: Plan = {
      ...finished.plan,
      datasets: [{ ...dataset, digest }],
      trials: [{ ...trial, dataset: digest }],
      cohorts: [{ id: 'c01', dataset: digest, trials: [trial.id] }],
    };
    const names = splits.map(({ split }) => split);
    const spec = jobSpecFor(plan, plan.cohorts[0]!, [trial.id], 'predict', { splits: names });
    await useTrainer(signal, async (trainer) => {
      const specified = specDigest(spec);
      const id = jobId(specified, 1);
      await trainer.submitJob(id, specified, spec);
      try {
        await followToEnd(trainer, id, { signal });
      } catch (error) {
        // A trainer that goes on would write predictions after all else has been removed.
        if (signal.aborted) await cancelToEnd(trainer, id);
        throw error;
      }
    }).catch((error: unknown) => {
      if (!(error instanceof TrainerError)) throw error;
      throw new UserError(`the trainer cannot predict: ${error.message}`, 1);
    });
    return await Promise.all(splits.map((split) => read(predictions(split), split, place)));
  } finally {
    await rm(folder, { recursive: true, force: true });
    for (const split of splits) await rm(predictions(split), { force: true });
  }
}

/** Cancels a job and waits, for a while, until it no longer runs. */
async function cancelToEnd(trainer: TrainerClient, id: string): Promise<void> {
  try {
    await trainer.cancelJob(id, CancelMode.CANCEL_MODE_ABORT);
    await followToEnd(trainer, id, {
      signal: AbortSignal.timeout(CANCEL_MS),
      patienceSeconds: CANCEL_MS / 1000,
    });
  } catch {
    // It was cancelled, which is no success, or the trainer is ending by the same signal.
  }
}

/** @throws UserError (exit 1) if the job does not succeed */
async function followToEnd(
  trainer: TrainerClient,
  id: string,
  options: WatchOptions,
): Promise<void> {
  let failure: string | undefined;
  let state = JobState.JOB_STATE_UNSPECIFIED;
  for await (const { payload } of trainer.watchJob(id, options)) {
    if (payload?.$case !== 'event') continue;
    const { kind }: Event = payload.value;
    if (kind?.$case === 'stateChanged') {
      state = kind.value.state;
      failure ??= kind.value.failure?.message;
    }
    if (kind?.$case === 'trialResult') failure ??= kind.value.failure?.message;
  }
  if (failure !== undefined || state !== JobState.JOB_STATE_SUCCEEDED)
    throw new UserError(`the prediction failed: ${failure ?? 'the trainer stopped'}`, 1);
}
