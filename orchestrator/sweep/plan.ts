import type { SweepConfig, TrainSettings } from '../config/sweep-config';
import { formCohorts } from './cohorts';
import { expandCompare } from './compare';
import { sweepId, trialId } from './identity';
import type { Plan, PlannedBackbone, PlannedDataset, TrainConfig, Trial } from './types';

export interface PlanInputs {
  backbone: PlannedBackbone;
  /** One for each task of the configuration. */
  datasets: PlannedDataset[];
  /** The most trials that the trainer takes at once. */
  maxCohort: number;
  /** Why the profile was chosen, for the user; null where the user chose. */
  profileReason: string | null;
}

/**
 * Resolves a sweep into trials and cohorts. Pure: the same configuration, backbone and data sets give the same plan, to the byte.
 * Trials come in the order task, line of `compare`, adapter, pruner, sparsity, the pruner's other keys, seed; the second of two equal
 * ones is dropped.
 *
 * @throws ConfigError where a Large-Sparse line has no sparsity that gives it the dense budget
 */
export function planSweep(config: SweepConfig, { backbone, datasets, maxCohort, profileReason }: PlanInputs): Plan {
  const variants = expandCompare(config.compare, backbone);
  const trials = new Map<string, Trial>();
  for (const task of config.tasks) {
    const dataset = datasets.find((candidate) => candidate.task === task.name);
    if (dataset === undefined) {
      throw new RangeError(`no data set was resolved for task ${task.name}`);
    }
    const train = resolveTrain(task.train, dataset);
    for (const { adapter, prune } of variants) {
      for (const seed of config.seeds) {
        const trial = { task: task.name, dataset: dataset.digest, backbone: backbone.digest, adapter, prune, train, seed };
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
    cohorts: formCohorts(list, maxCohort),
  };
}

/** Epochs become steps: the last step of an epoch takes what rows are left. */
function resolveTrain({ epochs, steps, ...rest }: TrainSettings, dataset: PlannedDataset): TrainConfig {
  const rows = dataset.splits.find((split) => split.name === 'train')?.rows ?? 0;
  const total = steps ?? (epochs ?? 0) * Math.ceil(rows / rest.batch_size);
  if (total < 1) {
    throw new RangeError(`task ${dataset.task} has no training step: ${rows} training rows, ${epochs ?? 0} epochs`);
  }
  return { ...rest, total_steps: total };
}
