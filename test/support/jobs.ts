/** Jobs for a trainer under test, and what came of them. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  JobState,
  type Artifact,
  type Event,
  type TrialResult,
} from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  Activation,
  Adapter,
  AdapterInit,
  AdapterNorm,
  AttentionModule,
  FfnModule,
  LearningRateSchedule,
  MaskControl,
  MaskRules,
  MaskStructure,
  Precision,
  Prune,
  PruneSchedule,
  PruneScope,
  Pruner,
  Train,
  Unfrozen,
  type Dataset,
  type Generation,
  type JobSpec,
  type TrainWork,
  type Trial,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { TrainerError, type TrainerClient } from '../../orchestrator/trainer-client/client';
import { jobId, specDigest } from '../../orchestrator/trainer-client/spec';
import { lacking } from './abilities';

/** A small trial; `changes` reach into its parts. */
export function trial(
  trialId: string,
  changes: {
    seed?: number;
    adapter?: Partial<Trial['adapter']>;
    prune?: Partial<Trial['prune']>;
    train?: Partial<Trial['train']>;
  } = {},
): Trial {
  return {
    trialId,
    seed: changes.seed ?? 1,
    adapter: Adapter.fromPartial({
      attention: AttentionModule.ATTENTION_MODULE_SEQUENTIAL,
      ffn: FfnModule.FFN_MODULE_SEQUENTIAL,
      attentionBottleneck: 8,
      ffnBottleneck: 8,
      scale: 1,
      norm: AdapterNorm.ADAPTER_NORM_BEFORE,
      activation: Activation.ACTIVATION_RELU,
      init: AdapterInit.ADAPTER_INIT_GAUSSIAN,
      initStd: 0.02,
      loraAlpha: 16,
      prefixHidden: 0,
      unfrozen: Unfrozen.UNFROZEN_NONE,
      ...changes.adapter,
    }),
    prune: Prune.fromPartial({
      pruner: Pruner.PRUNER_SNIP,
      sparsity: 0.5,
      scope: PruneScope.PRUNE_SCOPE_GLOBAL,
      scoringRows: 32,
      temperature: 200,
      rounds: 1,
      schedule: PruneSchedule.PRUNE_SCHEDULE_EXPONENTIAL,
      control: MaskControl.MASK_CONTROL_NONE,
      reinitialize: false,
      structure: MaskStructure.MASK_STRUCTURE_WEIGHTS,
      groupSize: 0,
      groupKept: 0,
      everySteps: 0,
      beginStep: 0,
      rules: MaskRules.MASK_RULES_EXACT,
      ...changes.prune,
    }),
    train: Train.fromPartial({
      batchSize: 8,
      totalSteps: 20,
      learningRate: 1e-3,
      weightDecay: 0.1,
      warmup: 0.1,
      schedule: LearningRateSchedule.LEARNING_RATE_SCHEDULE_LINEAR,
      maxGradNorm: 1,
      adamBeta1: 0.9,
      adamBeta2: 0.999,
      adamEpsilon: 1e-8,
      dropout: 0.1,
      attentionDropout: 0,
      labelSmoothing: 0,
      ...changes.train,
    }),
  };
}

/** Changes of `trial` that leave the head alone, dense: the least, which every trainer does. */
export const HEAD_ALONE = {
  adapter: {
    attention: AttentionModule.ATTENTION_MODULE_NONE,
    attentionBottleneck: 0,
    ffn: FfnModule.FFN_MODULE_NONE,
    ffnBottleneck: 0,
  },
  prune: { pruner: Pruner.PRUNER_NONE, sparsity: 0 },
};

/** A trial that every trainer can do: `trial` where this one can, else one of the head alone. */
export function anyTrial(
  trialId: string,
  changes: Pick<Parameters<typeof trial>[1] & object, 'seed' | 'train'> = {},
): Trial {
  const full = trial(trialId, changes);
  if (lacking([full]).length === 0) return full;
  return trial(trialId, { ...changes, ...HEAD_ALONE });
}

export const PRUNE: JobSpec['work'] = { $case: 'prune', value: {} };
export const predict = (
  splits: string[],
  generation?: Generation,
  atStep = 0,
): JobSpec['work'] => ({
  $case: 'predict',
  value: { splits, generation, atStep },
});
export const PREDICT = predict(['validation']);
export const train = (changes: Partial<TrainWork> = {}): JobSpec['work'] => ({
  $case: 'train',
  value: {
    untilStep: 0,
    checkpointEverySteps: 10,
    logEverySteps: 5,
    keepCheckpoints: 2,
    checkpointSeconds: 0,
    maxSeconds: 0,
    ...changes,
  },
});

/** A job on the test's backbone, or on another one. */
export function job(
  dataset: Dataset,
  trials: Trial[],
  work: JobSpec['work'],
  path = process.env.SA_ORCH_TEST_BACKBONE!,
): JobSpec {
  return {
    backbone: { path, digest: 'b'.repeat(64) },
    dataset,
    trials,
    work,
    precision: Precision.PRECISION_UNSPECIFIED,
  };
}

/** Submits a job and returns its id. */
export async function submit(
  client: TrainerClient,
  spec: JobSpec,
  generation = 1,
): Promise<string> {
  const digest = specDigest(spec);
  const id = jobId(digest, generation);
  await client.submitJob(id, digest, spec);
  return id;
}

/** The job's events to the end of its stream, or through the first one that `until` holds for. */
export async function events(
  client: TrainerClient,
  id: string,
  until: (event: Event) => boolean = () => false,
): Promise<Event[]> {
  const found: Event[] = [];
  for await (const { payload } of client.watchJob(id)) {
    if (payload?.$case !== 'event') continue;
    found.push(payload.value);
    if (until(payload.value)) break;
  }
  return found;
}

/**
 * Submits a job, waits for its end and returns its trials' results. Throws where it does not
 * succeed.
 */
export async function run(client: TrainerClient, spec: JobSpec): Promise<Map<string, TrialResult>> {
  const found = await events(client, await submit(client, spec));
  const last = found.at(-1)?.kind;
  if (last?.$case !== 'stateChanged' || last.value.state !== JobState.JOB_STATE_SUCCEEDED) {
    throw new Error(`the job did not succeed: ${JSON.stringify(last)}`);
  }
  return results(found);
}

export function results(found: Event[]): Map<string, TrialResult> {
  const kinds = found.map(({ kind }) => kind);
  return new Map(
    kinds.flatMap((kind) =>
      kind?.$case === 'trialResult' ? [[kind.value.trialId, kind.value] as const] : [],
    ),
  );
}

/** The states that the events bring, as words. */
export function states(found: Event[]): string[] {
  return found.flatMap(({ kind }) =>
    kind?.$case === 'stateChanged' ? [JobState[kind.value.state].replace('JOB_STATE_', '')] : [],
  );
}

/** What a bad request is refused with. Throws where it is not refused. */
export async function refusal(call: Promise<unknown>): Promise<TrainerError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof TrainerError))
    throw new Error(`expected a TrainerError, got ${String(error)}`);
  return error;
}

/** Throws unless these are all events of one log, from its first. */
export function expectGapless(found: Event[]): void {
  expect(found.map(({ sequence }) => sequence)).toEqual(found.map((_, index) => index + 1));
  expect(new Set(found.map(({ logId }) => logId)).size).toBe(1);
}

export const checkpointAt = (step: number) => (event: Event) =>
  event.kind?.$case === 'checkpointWritten' && event.kind.value.step >= step;

/** The steps that training told of, in checkpoints and metrics: the last one is among them. */
export const stepsTold = (events: readonly Event[]): number[] =>
  events.flatMap(({ kind }) => {
    if (kind?.$case === 'checkpointWritten') return [kind.value.step];
    return kind?.$case === 'metrics' ? kind.value.metrics.map(({ step }) => step) : [];
  });

export const brings = (state: JobState) => (event: Event) =>
  event.kind?.$case === 'stateChanged' && event.kind.value.state === state;

/** The artifact that is on disk under this name, described by the rule of event.proto. */
export function artifactOnDisk(root: string, name: string): Artifact {
  const path = join(root, name);
  if (!statSync(path).isDirectory())
    return { name, digest: sha256(readFileSync(path)), size: statSync(path).size };
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const parts = files.map((file) =>
    artifactOnDisk(root, join(file.parentPath, file.name).slice(root.length + 1)),
  );
  const lines = parts.map((part) => `${part.digest}  ${part.name.slice(name.length + 1)}\n`).sort();
  return {
    name,
    digest: sha256(lines.join('')),
    size: parts.reduce((total, part) => total + part.size, 0),
  };
}

const sha256 = (content: Buffer | string) => createHash('sha256').update(content).digest('hex');
