/** What an engine provides for `trainTrials`. */
import type { Tensor } from '../../common/safetensors';
import type { Trial } from '../../gen/ts/sparse_adapter/trainer/v1/job';
import type { StepPart } from './step-parts';
import type { Shapes } from './trial-files';

/** One trial during training, implemented by an engine. */
export interface TrialModel {
  /**
   * One optimizer step on these parts; one alone, of share 1, unless the engine lists
   * `train.accumulated_batches` or `train.loss_parts`. step: the trial's step, counted from 1.
   * Returns the loss and the gradient's norm before clipping; either may be NaN or infinite.
   */
  step(
    parts: readonly StepPart[],
    step: number,
    learningRate: number,
  ): Promise<StepResult> | StepResult;
  /** Copies of everything that a step reads and changes: parameters, moments. */
  state(): Promise<Record<string, Tensor>> | Record<string, Tensor>;
  /** Copies of adapter and head, as in adapter_model.safetensors. */
  adapter(): Promise<Record<string, Tensor<Float32Array>>> | Record<string, Tensor<Float32Array>>;
  /** Of a trial that is pruned during training, which an engine may list. */
  readonly pruning?: PrunedModel | undefined;
  /** Frees memory that is not garbage-collected. */
  dispose?(): void;
}

export interface PrunedModel {
  /**
   * Does the round that is due, or all rounds that take place together, after `done` others, on the
   * weights as they are. Awaits `passed` after each pass over some rows; if that throws, nothing
   * has changed. Returns the density of the next step. Throws EngineFailure if the scores rank
   * nothing.
   */
  prune(done: number, passed: (rows: number) => Promise<void>): Promise<number>;
  /** The masks now. */
  masks(): Record<string, Tensor<Uint8Array>>;
}

export interface StepResult {
  loss: number;
  gradientNorm: number;
}

/** What an engine provides for a job of TrainWork. */
export interface Training {
  /** Rows of the train split. */
  rows: number;
  /** Shapes of what TrialModel.state returns. */
  stateShapes(trial: Trial): Shapes;
  /**
   * The trial before its first step, or from a checkpoint's state. Throws EngineFailure if this
   * trial cannot be trained.
   */
  start(trial: Trial, state: Map<string, Tensor> | undefined): Promise<TrialModel> | TrialModel;
  /** What adapter_config.json contains besides the trial's own settings. */
  config(trial: Trial): Record<string, unknown>;
  /**
   * Of a trial that is pruned during training: what its result says of the masks beside its
   * adapter, about which it warns. file: where they are in the trial's folder.
   */
  reportMasks?(trial: Trial, file: string): Record<string, number>;
}
