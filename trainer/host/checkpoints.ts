/**
 * What a trial leaves on disk during and after training, under `trials/<trial id>/`.
 *
 *   checkpoints/step-<N>/state.safetensors   what the engine needs to continue: parameters, moments
 *   checkpoints/step-<N>/position.json       steps, rows and seconds so far, what it was made from,
 *                                            and what trained the steps so far
 *   adapter/                                 as in Trial of job.proto
 *   training.json                            rows and seconds of the training that made adapter/,
 *                                            which its digest must not depend on
 *   rungs/step-<N>/                          both of them for a step before the trial's last
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeSafetensors, type Tensor } from '../../common/safetensors';
import { readTensorsOf } from './artifacts';
import { replaceSync } from '../../common/durable-files';
import { makeFolder } from '../../common/make-folder';
import { Environment, type Artifact } from '../../gen/ts/sparse_adapter/trainer/v1/event';
import type { Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { toMetadata } from './environment';
import { removeFolder, writeFolder } from './folders';
import { trainedPlace, trialFolder, trialName, type Shapes } from './trial-files';

/** A trial's progress. */
export interface Position {
  /** Digest of everything that its numbers depend on. */
  source: string;
  /** Steps, rows and seconds done. */
  step: number;
  rows: number;
  seconds: number;
  /**
   * Since the last metric event: the sum of losses, each times its rows, and the number of rows.
   */
  lossSum: number;
  lossRows: number;
  /** Rounds of pruning done during training; several that take place together count as one. */
  rounds: number;
}

export interface Checkpoint {
  position: Position;
  state: Map<string, Tensor>;
  /** What trained the steps so far, in order. */
  environments: Environment[];
}

/** The content of position.json. */
interface PositionFile {
  position: Omit<Position, 'rounds'> & { rounds?: number };
  environments?: unknown[];
  /** Before there was a list: Capabilities.environment of the run that wrote it. */
  environment?: Record<string, string>;
}

/**
 * Writes a checkpoint as a whole folder, and of those up to its step removes all but the newest
 * `keep`: later ones are of training that is repeated until here. Returns the checkpoint's
 * artifact.
 */
export function writeCheckpoint(
  root: string,
  trialId: string,
  { position, state, environments }: Omit<Checkpoint, 'state'> & { state: Record<string, Tensor> },
  keep: number,
): Artifact {
  const files = {
    'state.safetensors': encodeSafetensors(state),
    'position.json': JSON.stringify(
      { position, environments: environments.map((each) => Environment.toJSON(each)) },
      null,
      2,
    ),
  };
  const digest = writeFolder(locateFolder(root, trialId, position.step), files);
  const upToHere = listSteps(root, trialId).filter((step) => step <= position.step);
  for (const step of upToHere.slice(keep)) removeFolder(locateFolder(root, trialId, step));
  const size = Object.values(files).reduce((sum, content) => sum + Buffer.byteLength(content), 0);
  return { name: `${trialName(trialId)}/checkpoints/step-${position.step}`, digest, size };
}

/**
 * The newest checkpoint at or before step `until` that is whole and has the same source, and why
 * newer ones were passed over.
 *
 * @param shapes shape of each tensor in the state
 */
export function newestCheckpoint(
  root: string,
  trialId: string,
  source: string,
  until: number,
  shapes: Shapes,
): { checkpoint: Checkpoint | undefined; passedOver: string[] } {
  const passedOver: string[] = [];
  for (const step of listSteps(root, trialId).filter((each) => each <= until)) {
    const folder = locateFolder(root, trialId, step);
    try {
      const { position, ...made } = JSON.parse(
        readFileSync(join(folder, 'position.json'), 'utf8'),
      ) as PositionFile;
      // Before there was pruning during training there were none.
      const rounds = position.rounds ?? 0;
      if (position.source !== source)
        throw new Error('it was made from another trial, backbone, data set or mask');
      const state = readTensorsOf(join(folder, 'state.safetensors'), shapes);
      const environments = (made.environments ?? [{ details: made.environment }]).map((each) =>
        Environment.fromJSON(each),
      );
      return { checkpoint: { position: { ...position, rounds }, state, environments }, passedOver };
    } catch (error) {
      passedOver.push(`checkpoint step-${step} was skipped: ${(error as Error).message}`);
    }
  }
  return { checkpoint: undefined, passedOver };
}

/**
 * Writes training.json and then adapter/, so that training.json always covers adapter/'s step; one
 * sync of their folder is enough for both, since only both together count.
 * `config` becomes adapter_config.json; `environments` trained it, in order; masks: of a trial that
 * is pruned during training.
 */
export function writeAdapter(
  root: string,
  trial: Trial,
  adapter: Record<string, Tensor>,
  config: Record<string, unknown>,
  { source, step, rows, seconds }: Position,
  environments: readonly Environment[],
  masks: Record<string, Tensor> | undefined,
): void {
  const made = toMetadata(environments);
  const folder = join(trialFolder(root, trial.trialId), trainedPlace(trial, step));
  makeFolder(folder);
  replaceSync(
    join(folder, 'training.json'),
    JSON.stringify({ source, step, rows, seconds }, null, 2),
  );
  writeFolder(join(folder, 'adapter'), {
    'adapter_model.safetensors': encodeSafetensors(adapter, made),
    'adapter_config.json': JSON.stringify({ format: 1, source, step, ...config }, null, 2),
    ...(masks ? { 'masks.safetensors': encodeSafetensors(masks, made) } : {}),
  });
}

/**
 * The position of an existing adapter with this step and source; undefined if training is still to
 * be done. hasMasks: whether the trial is pruned during training, so that its masks are there, too.
 */
export function finishedTraining(
  root: string,
  trial: Trial,
  source: string,
  step: number,
  hasMasks: boolean,
): Position | undefined {
  const folder = join(trialFolder(root, trial.trialId), trainedPlace(trial, step));
  const [config, times] = ['adapter/adapter_config.json', 'training.json'].map((name) =>
    readJson(join(folder, name)),
  );
  const files = ['adapter_model.safetensors', ...(hasMasks ? ['masks.safetensors'] : [])];
  if (!files.every((file) => existsSync(join(folder, 'adapter', file)))) return undefined;
  if ([config, times].some((found) => found?.source !== source || found.step !== step))
    return undefined;
  return { source, step, rows: times!.rows, seconds: times!.seconds, ...AT_REST };
}

/** The rest of the position after a last step, which has told its metrics. */
const AT_REST = { lossSum: 0, lossRows: 0, rounds: 0 };

/** Otherwise, a sweep of hundreds of trials would leave gigabytes of optimizer state. */
export function removeCheckpoints(root: string, trialId: string): void {
  removeFolder(join(trialFolder(root, trialId), 'checkpoints'));
}

function readJson(path: string): Position | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Position;
  } catch {
    return undefined;
  }
}

/** The steps of a trial's checkpoints, newest first. */
function listSteps(root: string, trialId: string): number[] {
  const folder = join(trialFolder(root, trialId), 'checkpoints');
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names
    .flatMap((name) => (/^step-\d+$/.test(name) ? [Number(name.slice('step-'.length))] : []))
    .sort((a, b) => b - a);
}

const locateFolder = (root: string, trialId: string, step: number): string =>
  join(trialFolder(root, trialId), 'checkpoints', `step-${step}`);
