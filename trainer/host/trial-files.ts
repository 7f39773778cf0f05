/**
 * What a trial has under `trials/<trial id>/` beside its checkpoints, and digests of what it was
 * made from.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { encodeSafetensors, type Tensor } from '../../common/safetensors';
import {
  Adapter,
  Dataset,
  Precision,
  precisionToJSON,
  Prune,
  Train,
  type JobSpec,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { TrialResult } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import { artifactPath, badArtifact, describeArtifact, readTensors, readSource } from './artifacts';
import { writeDurablySync } from '../../common/durable-files';
import { readPrecision } from './precision';

export type Shapes = Readonly<Record<string, readonly number[]>>;

export const trialName = (trialId: string): string => `trials/${trialId}`;
export const trialFolder = (root: string, trialId: string): string =>
  artifactPath(root, trialName(trialId));

/** Hex SHA-256 of all that a trial's mask follows from. */
export function maskSource(spec: JobSpec, { seed, adapter, prune }: Trial): string {
  return digestParts(
    'mask',
    ...inputs(spec),
    String(seed),
    Adapter.toJSON(adapter!),
    Prune.toJSON(prune!),
  );
}

/** Hex SHA-256 of all that a trial's training follows from, the length of this run of it aside. */
export function trainingSource(
  root: string,
  spec: JobSpec,
  { trialId, seed, adapter, prune, train }: Trial,
): string {
  const mask = describeArtifact(root, `${trialName(trialId)}/masks.safetensors`).digest;
  return digestParts(
    'training',
    ...inputs(spec),
    String(seed),
    Adapter.toJSON(adapter!),
    mask,
    prune!.reinitialize,
    Train.toJSON(train!),
  );
}

/** Hex SHA-256 of all that a trial's predictions follow from. */
export function predictionSource(root: string, spec: JobSpec, { trialId }: Trial): string {
  return digestParts(
    'prediction',
    ...inputs(spec),
    describeArtifact(root, `${trialName(trialId)}/adapter`).digest,
  );
}

function inputs(spec: JobSpec): unknown[] {
  const precision = readPrecision(spec);
  // Of FLOAT32 as before there was a choice: what is on disk stays done.
  const other = precision === Precision.PRECISION_FLOAT32 ? [] : [precisionToJSON(precision)];
  return [spec.backbone!.digest, Dataset.toJSON(spec.dataset!), ...other];
}

/**
 * Generated toJSON writes a message's fields in one order, so that equal messages have equal texts.
 */
function digestParts(...parts: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** A trial's result with one artifact or more of it, by their names in its folder. */
export function describeResult(
  root: string,
  trialId: string,
  names: readonly string[],
  values: Record<string, number>,
): TrialResult {
  const artifacts = names.map((name) => describeArtifact(root, `${trialName(trialId)}/${name}`));
  return { trialId, failure: undefined, artifacts, values };
}

/** Whether the trial's masks are there, made from the same. */
export function hasMasks(root: string, spec: JobSpec, trial: Trial): boolean {
  return (
    readSource(join(trialFolder(root, trial.trialId), 'masks.safetensors')) ===
    maskSource(spec, trial)
  );
}

/** Writes masks.safetensors. masks: uint8 0/1 by the names of the weights that they mask. */
export function writeMasks(
  root: string,
  spec: JobSpec,
  trial: Trial,
  masks: Record<string, Tensor<Uint8Array>>,
): void {
  const path = join(trialFolder(root, trial.trialId), 'masks.safetensors');
  writeDurablySync(path, encodeSafetensors(masks, { source: maskSource(spec, trial) }));
}

/**
 * A trial's masks, in the order of `shapes`, those of its prunable matrices. Throws EngineFailure
 * (BAD_ARTIFACT) where the file is no fit.
 */
export function readMasks(
  root: string,
  trialId: string,
  shapes: Shapes,
): Record<string, Tensor<Uint8Array>> {
  const path = join(trialFolder(root, trialId), 'masks.safetensors');
  const masks = readTensors(path);
  const odd = [
    ...Object.keys(shapes).filter((name) => !masks.has(name)),
    ...[...masks.keys()].filter((name) => !(name in shapes)),
  ][0];
  if (odd !== undefined)
    throw badArtifact(
      `${path}: tensor ${odd} is missing or of no use; each prunable matrix has one mask`,
    );
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const { data, shape: found } = masks.get(name)!;
      if (!(data instanceof Uint8Array)) throw badArtifact(`${path}: tensor ${name} is not uint8`);
      if (found.join() !== shape.join())
        throw badArtifact(
          `${path}: tensor ${name} has shape [${found.join(', ')}], ` +
            `the weight it masks has [${shape.join(', ')}]`,
        );
      return [name, { shape: found, data }];
    }),
  );
}

/** Whether the trial's predictions of a split are there, made from the same. */
export function hasPredictions(root: string, spec: JobSpec, trial: Trial, split: string): boolean {
  return (
    readSource(join(trialFolder(root, trial.trialId), predictionsFile(split))) ===
    predictionSource(root, spec, trial)
  );
}

/** Writes the predictions of a split; logits as Trial in job.proto says. */
export function writePredictions(
  root: string,
  spec: JobSpec,
  trial: Trial,
  split: string,
  logits: Tensor<Float32Array>,
): void {
  const path = join(trialFolder(root, trial.trialId), predictionsFile(split));
  writeDurablySync(
    path,
    encodeSafetensors({ logits }, { source: predictionSource(root, spec, trial) }),
  );
}

export const predictionsFile = (split: string): string => `predictions.${split}.safetensors`;
