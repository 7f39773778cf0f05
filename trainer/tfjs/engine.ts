/**
 * The TensorFlow.js engine: its capabilities and its jobs. TensorFlow is loaded when an engine is
 * created, with its number of threads.
 */
import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Device } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import {
  AdapterNorm,
  MaskRules,
  MaskStructure,
  Precision,
  TaskKind,
  Unfrozen,
  type JobSpec,
} from '../../gen/ts/sparse_adapter/trainer/v1/job';
import { packageVersion } from '../../common/package';
import {
  NoSuchDevice,
  type Engine,
  type EngineCapabilities,
  type EngineOptions,
  type JobContext,
} from '../host/engine';
import { PRUNERS_HERE } from './pruners';

const NO_INDEX =
  'TensorFlow.js uses the first visible GPU; set CUDA_VISIBLE_DEVICES to the index ' +
  'instead, with --device cuda';

/**
 * Trials run one after the other, so a cohort's size does not limit memory; this limits a request.
 */
const MAX_COHORT = 64;
/** On a CPU a pass is full with a few trials. */
const PREFERRED_COHORT = 10;

/** Later fields of a trial, and of a job's work (Capabilities.fields). */
const FIELDS = [
  'adapter.attention_scale',
  'adapter.attention_norm',
  'adapter.attention_init',
  'adapter.learned_scale',
  'adapter.inner_dropout',
  'adapter.ffn_after_dropout',
  'adapter.prefix_init',
  'adapter.prefix_use',
  'adapter.frozen',
  'adapter.unfrozen_tensors',
  'adapter.padded_tokens',
  'prune.scoring_batch',
  'prune.keeps_removed_weights',
  'prune.keeps_scoring_gradients',
  'prune.repeats',
  'prune.scoring_head',
  'prune.scoring_head_steps',
  'train.optimizer',
  'train.accumulated_batches',
  'train.loss_parts',
  'predict.at_step',
];

export function createEngine({ device, threads }: EngineOptions): Promise<Engine> {
  if (device.includes(':')) throw new NoSuchDevice(`--device ${device}: ${NO_INDEX}`);
  const used = threads ?? availableParallelism();
  process.env.TF_NUM_INTRAOP_THREADS = String(used);
  // Only now, because TensorFlow reads its number of threads when it is loaded.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const loaded = require('./jobs') as typeof import('./jobs');
  const { Jobs, ARCHITECTURES, MODULES, tf, libraryVersion, isOnGpu } = loaded;
  if (device === 'cuda' && !isOnGpu)
    throw new NoSuchDevice(
      '--device cuda: @tensorflow/tfjs-node-gpu is not installed, or found no GPU that its ' +
        'libraries can use',
    );
  const environment = {
    tfjs: tf.version_core,
    tensorflow: libraryVersion,
    node: process.version,
    threads: String(used),
    dtype: 'float32',
    device: isOnGpu ? 'cuda' : 'cpu',
  };
  const jobs = new Jobs();
  return Promise.resolve({
    capabilities: listCapabilities(environment, ARCHITECTURES, MODULES, { threads: used, isOnGpu }),
    run: (spec: JobSpec, context: JobContext) => jobs.run(spec, context),
  });
}

function listCapabilities(
  environment: Record<string, string>,
  architectures: string[],
  modules: Pick<EngineCapabilities, 'attentionModules' | 'ffnModules'>,
  { threads, isOnGpu }: { threads: number; isOnGpu: boolean },
): EngineCapabilities {
  const name = cpus()[0]?.model ?? process.arch;
  const device: Device = isOnGpu
    ? { kind: 'cuda', name: 'GPU', memoryBytes: 0, memoryUsedBytes: 0, threads: 0 }
    : { kind: 'cpu', name, memoryBytes: totalmem(), memoryUsedBytes: 0, threads };
  return {
    framework: 'tfjs',
    frameworkVersion: environment.tfjs!,
    trainerVersion: packageVersion(),
    devices: [device],
    maxCohort: MAX_COHORT,
    preferredCohort: isOnGpu ? MAX_COHORT : PREFERRED_COHORT,
    architectures,
    ...modules,
    unfrozen: [Unfrozen.UNFROZEN_NONE, Unfrozen.UNFROZEN_BIASES, Unfrozen.UNFROZEN_ALL],
    pruners: [...PRUNERS_HERE],
    maskStructures: [MaskStructure.MASK_STRUCTURE_WEIGHTS],
    maskRules: [MaskRules.MASK_RULES_EXACT, MaskRules.MASK_RULES_OFFICIAL],
    prunesDuringTraining: true,
    precisions: [Precision.PRECISION_FLOAT32],
    fields: FIELDS,
    adapterNorms: [
      AdapterNorm.ADAPTER_NORM_NONE,
      AdapterNorm.ADAPTER_NORM_BEFORE,
      AdapterNorm.ADAPTER_NORM_AFTER,
      AdapterNorm.ADAPTER_NORM_UPDATE,
    ],
    taskKinds: [
      TaskKind.TASK_KIND_CLASSIFICATION,
      TaskKind.TASK_KIND_REGRESSION,
      TaskKind.TASK_KIND_QUESTION_ANSWERING,
    ],
    environment,
  };
}
