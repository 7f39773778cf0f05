/** Which files of an artifact root a job needs on its trainer's own root. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readAdapterStep } from '../../common/adapter-step';
import { isFileName } from '../../common/artifact-names';
import { noneIfNotThere } from '../../common/files';
import type { JobSpec } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { listNeededFiles } from './placed-backbone';
import type { Work } from './spec';

/** A file to send. */
export interface JobFile {
  /** For people: `data set`, `backbone`, `masks`, `adapter`, … */
  what: string;
  /** As artifacts.proto lists it. */
  name: string;
  /** Where it is here. */
  path: string;
}

/** A trial's newest checkpoint in the root. */
export interface LocalCheckpoint {
  trial: string;
  step: number;
}

/**
 * What a job of this work reads, and what of it is finished, without checkpoints. A file that the
 * root lacks is left out: the trainer makes it, or says that it is missing.
 *
 * @param backbone the backbone's directory on this machine
 */
export async function listJobFiles(
  root: string,
  spec: JobSpec,
  work: Work,
  backbonePath: string,
): Promise<JobFile[]> {
  const { backbone, dataset, trials } = spec;
  const files = await listFolder(root, dataset!.name, 'data set');
  for (const name of await listNeededFiles(backbonePath)) {
    const [placed, path] = [`${backbone!.path}/${name}`, join(backbonePath, name)];
    files.push({ what: 'backbone', name: placed, path });
  }
  for (const { trialId } of trials) {
    const trial = `trials/${trialId}`;
    const masks = `${trial}/masks.safetensors`;
    if (existsSync(join(root, masks)))
      files.push({ what: 'masks', name: masks, path: join(root, masks) });
    if (work === 'prune') continue;
    // After training.json, as a trainer writes them.
    const place = `${trial}/${findRung(spec)}`;
    const training = `${place}training.json`;
    const adapter = await listFolder(root, `${place}adapter`, 'adapter');
    if (adapter.length > 0 && existsSync(join(root, training)))
      files.push({ what: 'adapter', name: training, path: join(root, training) });
    files.push(...adapter);
    if (work === 'train') continue;
    files.push(
      ...(await listFolder(root, trial, 'predictions')).filter(({ name }) =>
        name.startsWith(`${trial}/predictions.`),
      ),
    );
  }
  return files;
}

/** Where the adapter of a job's step is in a trial's folder; empty: of its last. */
function findRung({ work }: JobSpec): string {
  const step =
    work?.$case === 'train'
      ? work.value.untilStep
      : work?.$case === 'predict'
        ? work.value.atStep
        : 0;
  return step > 0 ? `rungs/step-${step}/` : '';
}

/** Whether the adapter of a trial's last step is in the root. */
export function isTrained(
  root: string,
  { id, total_steps }: { id: string; total_steps: number },
): boolean {
  const folder = join(root, 'trials', id, 'adapter');
  // Earlier versions left a rung's there.
  return existsSync(folder) && (readAdapterStep(folder) ?? total_steps) >= total_steps;
}

/** The newest checkpoint of each trial that has one in the root, and is not trained to its end. */
export async function listCheckpoints(
  root: string,
  { trials }: JobSpec,
): Promise<LocalCheckpoint[]> {
  const found: LocalCheckpoint[] = [];
  for (const { trialId: trial, train } of trials) {
    if (isTrained(root, { id: trial, total_steps: train!.totalSteps })) continue;
    const [step] = await listSteps(root, trial);
    if (step !== undefined) found.push({ trial, step });
  }
  return found;
}

/** The steps of a trial's checkpoints in the root, newest first. */
export async function listSteps(root: string, trial: string): Promise<number[]> {
  const names = await readdir(join(root, 'trials', trial, 'checkpoints')).catch(noneIfNotThere);
  return names
    .flatMap((name) => (/^step-\d+$/.test(name) ? [Number(name.slice('step-'.length))] : []))
    .sort((a, b) => b - a);
}

export const checkpointName = ({ trial, step }: LocalCheckpoint): string =>
  `trials/${trial}/checkpoints/step-${step}`;

/** The files directly in a folder of the root that can be moved; none if it is not there. */
export async function listFolder(root: string, folder: string, what: string): Promise<JobFile[]> {
  const names = await readdir(join(root, folder)).catch(noneIfNotThere);
  return names
    .sort()
    .map((name) => ({ what, name: `${folder}/${name}`, path: join(root, folder, name) }))
    .filter(({ name }) => isFileName(name));
}
