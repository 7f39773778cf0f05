/**
 * The interface between a trainer's engine and its host. The engine is the tensor arithmetic of one
 * framework; the host is the rest of a trainer: gRPC, jobs and their logs, validation.
 *
 * An engine's module exports `createEngine`. The host loads it in a separate process, where it runs
 * many jobs, one at a time. So an engine may block its event loop during a step, or run out of
 * memory, without stopping the server.
 */
import type { DeviceName } from '../../common/device';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import type {
  Environment,
  Event,
  Failure,
  FailureReason,
} from '../../gen/ts/sparse_adapter/trainer/v1/event';
import {
  AttentionModule,
  FfnModule,
  MaskRules,
  MaskStructure,
  Precision,
  Pruner,
  Unfrozen,
  type JobSpec,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';

/** What an engine can do, as in capabilities.proto; the host adds the rest of Capabilities. */
export type EngineCapabilities = Omit<
  Capabilities,
  'protocolVersion' | 'slots' | 'queueLength' | 'artifactRootId' | 'artifactService' | 'hubDownload'
>;

/**
 * The minimum: only the head, without pruning, in float32. An engine starts from this and overrides
 * it with its own lists.
 */
export const HEAD_ALONE = {
  attentionModules: [AttentionModule.ATTENTION_MODULE_NONE],
  ffnModules: [FfnModule.FFN_MODULE_NONE],
  unfrozen: [Unfrozen.UNFROZEN_NONE],
  pruners: [Pruner.PRUNER_NONE],
  maskStructures: [MaskStructure.MASK_STRUCTURE_WEIGHTS],
  maskRules: [MaskRules.MASK_RULES_EXACT],
  prunesDuringTraining: false,
  precisions: [Precision.PRECISION_FLOAT32],
  fields: [],
  adapterNorms: [],
} satisfies Partial<EngineCapabilities>;

export interface EngineOptions {
  /** The artifact root, absolute. */
  root: string;
  device: DeviceName;
  /** CPU threads; undefined for all cores that the process may use. */
  threads: number | undefined;
}

export interface EngineModule {
  /**
   * Rejects with NoSuchDevice, or with another Error, readable for people, if the engine cannot
   * work here, for example because a library is missing.
   */
  createEngine(this: void, options: EngineOptions): Promise<Engine>;
}

export interface Engine {
  /** Must not change while the engine lives. */
  readonly capabilities: EngineCapabilities;
  /**
   * Runs a valid job within these capabilities to its end. By then, every trial must have a
   * trialResult, including those whose work was already on disk, made from the same source.
   *
   * @throws EngineFailure if the job as a whole fails (one trial's failure is in its trialResult),
   *   Interrupted, Aborted
   */
  run(spec: JobSpec, context: JobContext): Promise<void>;
}

/** What an engine reports about a job; the host reports its states and what computes it. */
export type EngineEvent = Exclude<NonNullable<Event['kind']>, { $case: 'stateChanged' }>;

export interface JobContext {
  /** The artifact root, absolute. */
  readonly root: string;
  /** What computes the job. It is stored with what the job makes. */
  readonly environment: Environment;
  /** Appends an event to the job's log. Files of a checkpoint or result must be on disk before. */
  emit(event: EngineEvent): void;
  /**
   * Tells the host that the loop moved, and lets its requests in. Await it between steps, at least
   * every 2 s, because an engine hears nothing while it computes.
   *
   * @throws Aborted after CancelJob with ABORT
   */
  breathe(): Promise<void>;
  /** Whether to write checkpoints and throw Interrupted; updated by breathe. */
  readonly checkpointAsked: boolean;
  /**
   * Calls `write`, which changes nothing if it fails, until the disk of `path` has room for it. All
   * that an engine writes under the root goes through this.
   *
   * @throws Aborted after CancelJob with ABORT, Interrupted after CHECKPOINT, while it waits
   */
  writeWhenThereIsRoom<T>(path: string, write: () => T): Promise<T>;
}

/**
 * The device in the command line does not exist, or the engine cannot choose it. The message says
 * what would be right.
 */
export class NoSuchDevice extends Error {
  override readonly name = 'NoSuchDevice';
  readonly exitCode = 2;
}

/**
 * A job, or one of its trials, cannot continue. The message is for people: what, where, and what
 * would help.
 */
export class EngineFailure extends Error {
  constructor(
    readonly reason: FailureReason,
    message: string,
  ) {
    super(message);
    this.name = 'EngineFailure';
  }

  failure(): Failure {
    return { reason: this.reason, message: this.message };
  }
}

/**
 * Stopped by CANCEL_MODE_CHECKPOINT: finished work is on disk, and the same job, submitted again,
 * continues from there.
 */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Stopped by CANCEL_MODE_ABORT. */
export class Aborted extends Error {
  override readonly name = 'Aborted';
}
