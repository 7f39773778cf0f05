/** The flags of `sa-orch run`, as commander reads them. */
import type { AdapterInitName } from '../../common/vocabulary/adapter-inits';
import type { AdapterNormName } from '../../common/vocabulary/adapter-norms';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { ScoringHeadChoice } from '../../common/vocabulary/scoring-heads';
import type { COMPAT_NAMES } from '../config/compat';
import type { PlaceOptions, ServiceOptions } from './options';

/** Of their flags, those that `run` reads here alone; a value without its own reader is a list. */
export interface PublishedOptions {
  unfreezeParams?: readonly string[];
  deviceIds?: readonly string[];
  length?: readonly string[];
  datasetName?: readonly string[];
  attnComposition?: readonly string[];
  loraInit?: readonly string[];
  perDeviceTrainBatchSize?: readonly string[];
  perGpuTrainBatchSize?: readonly string[];
  gradientAccumulationSteps?: readonly string[];
  maxSteps?: readonly string[];
  lrSchedulerType?: readonly string[];
  maxGradNorm?: readonly string[];
  adamBeta1?: readonly string[];
  adamBeta2?: readonly string[];
  adamEpsilon?: readonly string[];
  maxEvalSamples?: readonly string[];
}

/** Where the published scripts' adapters normalize and how they are drawn, in their words. */
export const NORMS = {
  in: 'before',
  out: 'after',
  none: 'none',
} as const satisfies Record<string, AdapterNormName>;
export const INITS = {
  bert: 'gaussian',
  lora: 'zero_up',
} as const satisfies Record<string, AdapterInitName>;

export interface RunOptions extends PlaceOptions, ServiceOptions, PublishedOptions {
  task?: string;
  backbone?: string;
  precision?: PrecisionName;
  dataDir?: string;
  compat?: (typeof COMPAT_NAMES)[number];
  adapter?: string;
  attnMode?: string;
  attnOption?: string;
  ffnMode?: string;
  ffnOption?: string;
  attnBn?: number;
  ffnBn?: number;
  loraAlpha?: number;
  midDim?: number;
  ffnAdapterLayernormOption?: keyof typeof NORMS;
  ffnAdapterInitOption?: keyof typeof INITS;
  ffnAdapterScalar?: number | 'learnable_scalar';
  pruner: string;
  sparsity?: number;
  nM?: string;
  structure?: string;
  scope?: string;
  scoringRows?: number;
  scoringHead?: ScoringHeadChoice;
  pruneDatasetRatio?: number;
  rounds?: number;
  compressionSchedule?: string;
  begin?: number;
  pruneIterations?: number;
  shuffle?: boolean;
  invert?: boolean;
  reinitialize?: boolean;
  seed: number;
  epochs?: number;
  batchSize?: number;
  learningRate?: number;
  weightDecay?: number;
  warmupRatio?: number;
  maxSeqLength?: number;
  maxMinutes?: number;
  rows?: number;
  detach?: boolean;
  json?: boolean;
}
