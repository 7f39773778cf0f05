/**
 * A trial's files under `trials/<trial id>/`, except checkpoints, and digests of what they were
 * made from.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { encodeSafetensors, type Tensor } from '../../common/safetensors';
import {
  Adapter,
  Dataset,
  Precision,
  precisionToJSON,
  Prune,
  Pruner,
  Train,
  type JobSpec,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type {
  Environment,
  Failure,
  TrialResult,
} from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  artifactPath,
  badArtifact,
  describeArtifact,
  readMetadata,
  readTensors,
} from './artifacts';
import { writeDurablySync } from '../../common/durable-files';
import type { JobContext } from './engine';
import { readEnvironments, toMetadata } from './environment';
import { readPrecision } from './precision';

export type Shapes = Readonly<Record<string, readonly number[]>>;

export const trialName = (trialId: string): string => `trials/${trialId}`;
export const trialFolder = (root: string, trialId: string): string =>
  artifactPath(root, trialName(trialId));

/**
 * Where training to a step leaves adapter/ and training.json, in the trial's folder: there, or in a
 * folder of its own for a step before the trial's last (a rung). Empty or ends with `/`.
 */
export const trainedPlace = ({ train }: Trial, step: number): string =>
  step < train!.totalSteps ? `rungs/step-${step}/` : '';

/** Hex SHA-256 of everything that a trial's mask depends on. */
export function maskSource(spec: JobSpec, { seed, adapter, prune, train }: Trial): string {
  return digestParts(
    'mask',
    ...inputs(spec),
    String(seed),
    Adapter.toJSON(adapter!),
    Prune.toJSON(prune!),
    // Part of the loss whose gradients are scored.
    ...(train!.labelSmoothing > 0 ? [train!.labelSmoothing] : []),
  );
}

/** Whether the rounds of pruning take place between steps of training (Prune.every_steps). */
export const isDuringTraining = ({ pruner, everySteps }: Prune): boolean =>
  pruner !== Pruner.PRUNER_NONE && everySteps > 0;

/** Hex SHA-256 of everything that a trial's training depends on, except the step to stop at. */
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
    ...(isDuringTraining(prune!) ? [Prune.toJSON(prune!)] : []),
  );
}

/** Hex SHA-256 of everything that a trial's predictions depend on. */
export const predictionSource = (root: string, spec: JobSpec, trial: Trial): string =>
  digestParts(
    'prediction',
    ...inputs(spec),
    describeArtifact(root, findAdapter(spec, trial)).digest,
  );

/** The adapter that a job predicts with, by its name under the root. */
function findAdapter(spec: JobSpec, trial: Trial): string {
  const step = findAtStep(spec) || trial.train!.totalSteps;
  return `${trialName(trial.trialId)}/${trainedPlace(trial, step)}adapter`;
}

function inputs(spec: JobSpec): unknown[] {
  const precision = readPrecision(spec);
  // FLOAT32 is left out, as before there was a choice, so that existing files stay valid.
  const other = precision === Precision.PRECISION_FLOAT32 ? [] : [precisionToJSON(precision)];
  return [spec.backbone!.digest, Dataset.toJSON(spec.dataset!), ...other];
}

/**
 * Generated toJSON writes a message's fields in a fixed order, so equal messages have equal text.
 */
function digestParts(...parts: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/**
 * A trial's result, with artifacts given by their names in its folder. What made them is read from
 * each of them, because it may be older than this job.
 */
export function describeResult(
  root: string,
  trialId: string,
  names: readonly string[],
  values: Record<string, number>,
): TrialResult {
  const artifacts = names.map((name) => describeArtifact(root, `${trialName(trialId)}/${name}`));
  const environments = names
    .map((name) => (/(^|\/)adapter$/.test(name) ? `${name}/${WEIGHTS}` : name))
    .map((file) => readEnvironments(join(trialFolder(root, trialId), file)))
    .reduce<Environment[]>(
      (found, more) => [
        ...found,
        ...more.filter((each) => !found.some((known) => isDeepStrictEqual(known, each))),
      ],
      [],
    );
  return { trialId, failure: undefined, artifacts, values, environments };
}

/** The result of a trial that failed. */
export function describeFailure(trialId: string, failure: Failure): TrialResult {
  return { trialId, failure, artifacts: [], values: {}, environments: [] };
}

/** Whether the trial's masks exist and were made from the same source. */
export function hasMasks(root: string, spec: JobSpec, trial: Trial): boolean {
  return readMaskOrigin(root, trial.trialId)[0] === maskSource(spec, trial);
}

/** What a trial's masks were made from, and then what is doubtful about their scores. */
export function readMaskOrigin(root: string, trialId: string): string[] {
  const { source } = readMetadata(join(trialFolder(root, trialId), 'masks.safetensors'));
  return (source ?? '').split('\n');
}

/**
 * Writes masks.safetensors. masks: uint8 0/1, by the names of the masked weights; doubts: kept with
 * them, so that they are told again where the masks are there already.
 */
export async function writeMasks(
  context: JobContext,
  spec: JobSpec,
  trial: Trial,
  masks: Record<string, Tensor<Uint8Array>>,
  doubts: readonly string[],
): Promise<void> {
  const path = join(trialFolder(context.root, trial.trialId), 'masks.safetensors');
  const source = [maskSource(spec, trial), ...doubts].join('\n');
  const content = encodeSafetensors(masks, { source, ...toMetadata([context.environment]) });
  await context.writeWhenThereIsRoom(path, () => writeDurablySync(path, content));
}

/**
 * A trial's masks, in the order of `shapes`, which has its prunable matrices. file: in the trial's
 * folder; beside an adapter are the last ones of a trial that is pruned during training. Throws
 * EngineFailure (BAD_ARTIFACT) if it does not match.
 */
export function readMasks(
  root: string,
  trialId: string,
  shapes: Shapes,
  file = 'masks.safetensors',
): Record<string, Tensor<Uint8Array>> {
  const path = join(trialFolder(root, trialId), file);
  const masks = readTensors(path);
  const odd = [
    ...Object.keys(shapes).filter((name) => !masks.has(name)),
    ...[...masks.keys()].filter((name) => !(name in shapes)),
  ][0];
  if (odd !== undefined)
    throw badArtifact(
      `${path}: tensor ${odd} is missing or unexpected; each prunable matrix has one mask`,
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

/** Whether the trial's predictions of a split exist and were made from the same source. */
export function hasPredictions(root: string, spec: JobSpec, trial: Trial, split: string): boolean {
  const path = join(trialFolder(root, trial.trialId), predictionsFile(spec, split));
  return readMetadata(path).source === predictionSource(root, spec, trial);
}

/** Writes the predictions of a split; logits as in Trial of job.proto. */
export async function writePredictions(
  context: JobContext,
  spec: JobSpec,
  trial: Trial,
  split: string,
  logits: Tensor<Float32Array>,
): Promise<void> {
  const { root } = context;
  const path = join(trialFolder(root, trial.trialId), predictionsFile(spec, split));
  const source = predictionSource(root, spec, trial);
  const metadata = { source, ...toMetadata([context.environment]) };
  const content = encodeSafetensors({ logits }, metadata);
  await context.writeWhenThereIsRoom(path, () => writeDurablySync(path, content));
}

/** A trained adapter's weights, in its folder. */
const WEIGHTS = 'adapter_model.safetensors';

/** The weights that a job predicts with. */
export const findWeights = (root: string, spec: JobSpec, trial: Trial): string =>
  artifactPath(root, `${findAdapter(spec, trial)}/${WEIGHTS}`);

/** The file of a split's predictions, in the trial's folder. */
export function predictionsFile(spec: JobSpec, split: string): string {
  const atStep = findAtStep(spec);
  return `predictions.${split}${atStep > 0 ? `.step${atStep}` : ''}.safetensors`;
}

/** The step that a job predicts at; 0 for the last. */
const findAtStep = ({ work }: JobSpec): number =>
  work?.$case === 'predict' ? work.value.atStep : 0;
