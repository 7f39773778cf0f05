/**
 * What a trainer's engine and its host have of each other. The engine is the tensor arithmetic of
 * one framework; the host is the rest of a trainer: gRPC, jobs and their logs, validation.
 *
 * An engine's module exports `createEngine`. The host loads it in a process of its own, where it
 * lives for many jobs, one at a time. So an engine may block its event loop for the length of a
 * step, and may run out of memory, and the server goes on.
 */
import type { DeviceName } from '../../common/device';
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import type { Event, Failure, FailureReason } from '../../gen/ts/sparse_adapter/trainer/v1/event';
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

/** What an engine can do, as capabilities.proto says; the host knows the rest of Capabilities. */
export type EngineCapabilities = Omit<
  Capabilities,
  'protocolVersion' | 'slots' | 'queueLength' | 'artifactRootId' | 'artifactService' | 'hubDownload'
>;

/**
 * The least: the head alone, without pruning, in float32. For an engine to begin with and to put
 * its own lists over.
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
} satisfies Partial<EngineCapabilities>;

export interface EngineOptions {
  /** The artifact root, absolute. */
  root: string;
  device: DeviceName;
  /** CPU threads; where left out, all cores that the process may use. */
  threads: number | undefined;
}

export interface EngineModule {
  /**
   * Rejects with NoSuchDevice, or with another Error for a person where the engine cannot work
   * here, for example for want of a library.
   */
  createEngine(this: void, options: EngineOptions): Promise<Engine>;
}

export interface Engine {
  /** Does not change while the engine lives. */
  readonly capabilities: EngineCapabilities;
  /**
   * Runs a valid job within these capabilities to its end. Every trial has got a trialResult then,
   * those of which the work was on disk already, made from the same, too.
   *
   * @throws EngineFailure where the job as a whole fails (one trial's failure is in its
   *   trialResult), Interrupted, Aborted
   */
  run(spec: JobSpec, context: JobContext): Promise<void>;
}

/** What an engine tells of a job; the host tells its states. */
export type EngineEvent = Exclude<NonNullable<Event['kind']>, { $case: 'stateChanged' }>;

export interface JobContext {
  /** The artifact root, absolute. */
  readonly root: string;
  /** Puts an event into the job's log. A checkpoint's or result's files are on disk before it. */
  emit(event: EngineEvent): void;
  /**
   * Tells the host that the loop moved, and hears what it asks. Awaited between steps, at least
   * every 2 s: an engine that computes hears nothing meanwhile.
   *
   * @throws Aborted where CancelJob with ABORT was asked
   */
  breathe(): Promise<void>;
  /** Whether to write checkpoints and throw Interrupted; as of the last breath. */
  readonly checkpointAsked: boolean;
}

/**
 * The device that the command line names is not there, or the engine cannot choose it. The message
 * says what would be right.
 */
export class NoSuchDevice extends Error {
  override readonly name = 'NoSuchDevice';
}

/**
 * A job, or one trial of it, cannot go on. The message is for a person: what, where, and what would
 * help.
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
 * Stopped as CANCEL_MODE_CHECKPOINT asks: what was done is on disk, and the same job submitted
 * again goes on from there.
 */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Stopped as CANCEL_MODE_ABORT asks. */
export class Aborted extends Error {
  override readonly name = 'Aborted';
}
