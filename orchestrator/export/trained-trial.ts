/** Reads all that an export needs to know of a finished trial. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Tensor } from '../../common/safetensors';
import { ConfigError, UserError } from '../base/errors';
import { readSafetensors } from '../datasets/safetensors';
import { readPlan } from '../store/plan-store';
import { readJson } from '../store/read-files';
import { findMasks, listSweeps, readDoneResult, trialDir } from '../store/sweep-store';
import { canonicalJson } from '../sweep/canonical';
import { findDataset, findTrial } from '../sweep/lookup';
import type { Plan, PlannedBackbone, PlannedDataset, Trial, TrialResult } from '../sweep/types';

export type Weights = Map<string, Tensor<Float32Array>>;

/** A finished trial. */
export interface FinishedTrial {
  root: string;
  /** The sweep whose plan describes it. */
  plan: Plan;
  trial: Trial;
  result: TrialResult;
  dataset: PlannedDataset;
  backbone: PlannedBackbone;
}

export interface TrainedTrial extends FinishedTrial {
  /** The adapter and the head, under the names of Adapter in job.proto. */
  weights: Weights;
  /** The file with its masks. */
  masksFile: string;
  /** What adapter_config.json says. */
  config: Record<string, unknown>;
  /** Results of all finished trials that differ from this one only by their seeds. */
  siblings: TrialResult[];
}

/**
 * Finds a finished trial and the plan that describes it.
 *
 * @throws UserError (exit 2) if it is not finished, its adapter was removed, or no plan has it
 */
export async function findFinished(root: string, trialId: string): Promise<FinishedTrial> {
  const result = await readDoneResult(root, trialId);
  if (result === null)
    throw new UserError(
      `trial ${trialId} is not finished`,
      2,
      `\`sa-orch logs ${trialId}\` says what happened to it.`,
    );
  const adapter = adapterFile(root, trialId);
  if (!existsSync(adapter))
    throw new UserError(
      `trial ${trialId} is finished, but ${adapter} is missing`,
      2,
      `To train it again, remove ${trialDir(root, trialId)} and start its sweep.`,
    );
  const plan = await findPlan(root, trialId);
  if (plan === undefined)
    throw new UserError(
      `no sweep under ${root} has a plan with trial ${trialId}`,
      2,
      'Start a sweep with this trial again: it is finished, so nothing runs.',
    );
  const trial = findTrial(plan, trialId);
  const { backbone } = plan;
  return { root, plan, trial, result, dataset: findDataset(plan, trial.dataset), backbone };
}

/** Reads a finished trial's weights, masks and what goes into a model card. */
export async function readTrained(finished: FinishedTrial): Promise<TrainedTrial> {
  const { root, plan, trial } = finished;
  const adapter = adapterFile(root, trial.id);
  const config = await readJson<Record<string, unknown>>(
    join(dirname(adapter), 'adapter_config.json'),
  );
  const results = await Promise.all(
    listSiblings(plan, trial).map(({ id }) => readDoneResult(root, id)),
  );
  return {
    ...finished,
    weights: readWeights(adapter),
    masksFile: findMasks(root, trial.id),
    config: config ?? {},
    siblings: results.filter((result) => result !== null),
  };
}

const adapterFile = (root: string, trialId: string): string =>
  join(trialDir(root, trialId), 'adapter', 'adapter_model.safetensors');

function readWeights(file: string): Weights {
  const weights: Weights = new Map();
  for (const [name, { shape, data }] of readSafetensors(file)) {
    if (!(data instanceof Float32Array))
      throw new ConfigError({ where: file, message: `tensor ${name} is not float32` });
    weights.set(name, { shape, data });
  }
  return weights;
}

async function findPlan(root: string, trialId: string): Promise<Plan | undefined> {
  for (const sweepId of await listSweeps(root)) {
    const plan = await readPlan(root, sweepId).catch((error: unknown) => {
      // A plan of another version, or a broken one, has nothing to do with the trial asked for.
      if (error instanceof ConfigError || error instanceof SyntaxError) return undefined;
      throw error;
    });
    if (plan?.trials.some(({ id }) => id === trialId)) return plan;
  }
  return undefined;
}

function listSiblings({ trials }: Plan, trial: Trial): Trial[] {
  const setting = describeSetting(trial);
  return trials.filter((each) => describeSetting(each) === setting);
}

/** All of a trial but its seed. */
function describeSetting(trial: Trial): string {
  return canonicalJson({ ...trial, id: null, seed: null });
}
