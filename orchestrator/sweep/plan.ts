import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { SweepConfig, TrainSettings } from '../config/sweep-config';
import { formCohorts } from './cohorts';
import { expandCompare } from './compare';
import { sweepId, trialId } from './identity';
import { DEFAULT_UNFREEZE_PARAMS } from './published-model';
import { publishTrain } from './published-steps';
import type { Cohort, Plan, PlannedBackbone, PlannedDataset, TrainConfig, Trial } from './types';

export interface PlanInputs {
  backbone: PlannedBackbone;
  /** One per task of the configuration. */
  datasets: PlannedDataset[];
  /** Maximum trials that the trainer takes at once. */
  maxCohort: number;
  /** Used if the configuration names none: the default of the trainer's device. */
  defaultPrecision: PrecisionName;
  /** Why the profile was chosen, for the user; null if the user chose. */
  profileReason: string | null;
}

/**
 * Resolves a sweep into trials and cohorts. Pure: the same configuration, backbone and data sets
 * give the same plan, to the byte. Trials come in the order task, line of `compare`, adapter,
 * pruner, sparsity, the pruner's other keys, seed. Duplicates are dropped.
 *
 * @throws ConfigError if a line is impossible with its adapters, on this backbone or within a
 *   task's training steps
 */
export function planSweep(config: SweepConfig, inputs: PlanInputs): Plan {
  const { backbone, datasets, maxCohort, profileReason } = inputs;
  const named = config.precision ?? inputs.defaultPrecision;
  const precision = named === 'float32' ? {} : { precision: named };
  const trials = new Map<string, Trial>();
  for (const task of config.tasks) {
    const dataset = datasets.find((candidate) => candidate.task === task.name);
    if (dataset === undefined) {
      throw new RangeError(`no data set was resolved for task ${task.name}`);
    }
    const steps_per_epoch = stepsPerEpoch(dataset, task.train);
    const train = resolveTrain(task.train, steps_per_epoch, dataset);
    const generation = task.generation && { generation: task.generation };
    const { num_labels } = dataset;
    const context = {
      backbone,
      task: task.name,
      num_labels,
      steps_per_epoch,
      total_steps: train.total_steps,
      kind: dataset.kind,
      max_length: dataset.max_length,
      batch_size: train.batch_size,
      unfreeze_params: config.unfreeze_params ?? DEFAULT_UNFREEZE_PARAMS,
    };
    for (const { adapter, prune, official } of expandCompare(config.compare, context)) {
      for (const seed of config.seeds) {
        const frozen = { task: task.name, dataset: dataset.digest, backbone: backbone.digest };
        const steps = official ? publishTrain(train) : train;
        const trial = {
          ...frozen,
          adapter,
          prune,
          train: steps,
          ...generation,
          ...precision,
          seed,
        };
        const id = trialId(trial);
        trials.set(id, { id, ...trial });
      }
    }
  }
  const list = [...trials.values()];
  return {
    format: 3,
    sweep_id: sweepId(
      config.name,
      list.map((trial) => trial.id),
    ),
    name: config.name,
    profile: config.profile,
    profile_reason: profileReason,
    backbone,
    datasets,
    trials: list,
    cohorts: formCohorts(list, maxCohort).map((cohort) => limitTime(cohort, list, config)),
  };
}

/** A cohort's trials are of one task, because a data set belongs to one. */
function limitTime(cohort: Cohort, trials: readonly Trial[], { tasks }: SweepConfig): Cohort {
  const [first] = cohort.trials;
  const { task } = trials.find(({ id }) => id === first)!;
  const max_minutes = tasks.find(({ name }) => name === task)?.max_minutes ?? null;
  return max_minutes === null ? cohort : { ...cohort, max_minutes };
}

/** The last step of an epoch takes the remaining rows or, in question answering, features. */
function stepsPerEpoch(
  dataset: PlannedDataset,
  { batch_size, accumulated_batches }: TrainSettings,
): number {
  const train = dataset.splits.find((split) => split.name === 'train');
  const batches = Math.ceil((train?.features ?? train?.rows ?? 0) / batch_size);
  // What an epoch has left over waits for the next one.
  return accumulated_batches === undefined
    ? batches
    : Math.max(1, Math.floor(batches / accumulated_batches));
}

function resolveTrain(
  { epochs, steps, ...rest }: TrainSettings,
  perEpoch: number,
  { task }: PlannedDataset,
): TrainConfig {
  const total = steps ?? (epochs ?? 0) * perEpoch;
  if (total < 1) {
    throw new RangeError(
      `task ${task} has no training step: ${perEpoch} steps per epoch, ${epochs ?? 0} epochs`,
    );
  }
  return { ...rest, total_steps: total };
}
