/** Predicts rows without labels with a finished trial's adapter, by a job of a trainer. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeJsonDurably } from '../../common/durable-files';
import { JobState, type Event } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { UserError } from '../base/errors';
import { datasetPath } from '../datasets/splits';
import { OpenBackbone } from '../export/open-backbone';
import type { FinishedTrial } from '../export/trained-trial';
import { trialDir } from '../store/sweep-store';
import type { Plan } from '../sweep/types';
import type { Inputs, InputPlace, InputSplit } from '../tasks/family';
import type { PlannedDataset } from '../sweep/types';
import { findFamily } from '../tasks/registry';
import { TrainerError, type TrainerClient } from '../trainer-client/client';
import { jobId, jobSpecFor, specDigest } from '../trainer-client/spec';

/** @throws UserError (exit 2) if tasks of this kind have no rows without labels */
export function requireInputs({ trial, dataset }: FinishedTrial): Inputs<PlannedDataset> {
  const { inputs } = findFamily(dataset.kind);
  if (inputs !== null) return inputs;
  throw new UserError(
    `${trial.id} is of ${dataset.kind.replaceAll('_', ' ')}; ` +
      'predict takes trials of classification and regression',
    2,
  );
}

/**
 * Writes rows as a data set of their own, lets the trainer predict them, and reads each split's
 * predictions. Nothing of it stays.
 *
 * @param write writes the splits
 * @param read what is made of a split's file of predictions
 */
export async function predictInputs<Split extends InputSplit, Read>(
  finished: FinishedTrial,
  useTrainer: <T>(work: (trainer: TrainerClient) => Promise<T>) => Promise<T>,
  write: (to: InputPlace<PlannedDataset>) => Promise<Split[]>,
  read: (predictions: string, split: Split) => Read,
): Promise<Read[]> {
  const { root, trial, dataset, backbone } = finished;
  await OpenBackbone.open(backbone);
  const digest = randomUUID().replaceAll('-', '');
  const folder = datasetPath(root, digest);
  const predictions = ({ split }: Split) =>
    join(trialDir(root, trial.id), `predictions.${split}.safetensors`);
  let splits: Split[] = [];
  try {
    await mkdir(folder, { recursive: true });
    const mark = digest.slice(0, 8);
    splits = await write({ folder, mark, dataset, backbonePath: backbone.path });
    await writeJsonDurably(join(folder, 'dataset.json'), { digest, splits });
    const plan: Plan = {
      ...finished.plan,
      datasets: [{ ...dataset, digest }],
      trials: [{ ...trial, dataset: digest }],
      cohorts: [{ id: 'c01', dataset: digest, trials: [trial.id] }],
    };
    const names = splits.map(({ split }) => split);
    const spec = jobSpecFor(plan, plan.cohorts[0]!, [trial.id], 'predict', { splits: names });
    await useTrainer(async (trainer) => {
      const specified = specDigest(spec);
      const id = jobId(specified, 1);
      await trainer.submitJob(id, specified, spec);
      await followToEnd(trainer, id);
    }).catch((error: unknown) => {
      if (!(error instanceof TrainerError)) throw error;
      throw new UserError(`the trainer cannot predict: ${error.message}`, 1);
    });
    return splits.map((split) => read(predictions(split), split));
  } finally {
    await rm(folder, { recursive: true, force: true });
    for (const split of splits) await rm(predictions(split), { force: true });
  }
}

/** @throws UserError (exit 1) if the job does not succeed */
async function followToEnd(trainer: TrainerClient, id: string): Promise<void> {
  let failure: string | undefined;
  let state = JobState.JOB_STATE_UNSPECIFIED;
  for await (const { payload } of trainer.watchJob(id)) {
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
