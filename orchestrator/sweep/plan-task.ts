/** Turns a task's training settings and the lines of `compare` into trials. Pure. */
import type { PrecisionName } from '../../common/vocabulary/precisions';
import { ConfigError } from '../base/errors';
import type { SweepConfig, TaskConfig, TrainSettings } from '../config/sweep-config';
import { expandLine, type ComparedTrial } from './compare';
import { trialId } from './identity';
import { DEFAULT_UNFREEZE_PARAMS } from './published-model';
import { publishTrain } from './published-steps';
import { MOST_STEPS, stepsPerEpoch } from './steps-per-epoch';
import type { AxisValues, PlannedBackbone, PlannedDataset, TrainConfig, Trial } from './types';

/** Trials that differ in their seed only, or in what a search chooses, too. */
export interface Variant {
  task: string;
  /** More than one if there is something to choose. */
  candidates: VariantCandidate[];
}

export interface VariantCandidate {
  values: AxisValues;
  /** On held-out rows with the search's seeds; empty if there is nothing to choose. */
  tried: Trial[];
  /** On the task's own data set with the sweep's seeds. */
  compared: Trial[];
}

export interface TaskInputs {
  config: SweepConfig;
  backbone: PlannedBackbone;
  precision: PrecisionName;
  /** The task's own. */
  dataset: PlannedDataset;
  /** The one with held-out rows; undefined without a search. */
  heldOut: PlannedDataset | undefined;
}

/** A task's variants, in the order line of `compare`, adapter, pruning, training values. */
export function planTask(task: TaskConfig, inputs: TaskInputs): Variant[] {
  const { config, dataset, heldOut } = inputs;
  return task.lines.flatMap((variants, line) => {
    const planned = variants.map(({ candidates }) =>
      candidates.map(({ values, train }) => ({
        values,
        compared: expandTrials(task, line, train, { ...inputs, dataset, seeds: config.seeds }),
        tried:
          candidates.length === 1 || config.search === null
            ? null
            : expandTrials(task, line, train, {
                ...inputs,
                dataset: present(heldOut, task),
                seeds: config.search.seeds,
              }),
      })),
    );
    // What a line prunes does not depend on how it is trained, so the nth trials belong together.
    return planned[0]![0]!.compared.flatMap((_, n) =>
      planned.map((candidates) => ({
        task: task.name,
        candidates: candidates.map(({ values, compared, tried }) => ({
          values,
          compared: compared[n]!,
          tried: tried?.[n] ?? [],
        })),
      })),
    );
  });
}

function present(dataset: PlannedDataset | undefined, { name }: TaskConfig): PlannedDataset {
  if (dataset === undefined)
    throw new RangeError(`no data set with held-out rows was resolved for task ${name}`);
  return dataset;
}

/** For each variant of a line that is trained like this, its trials by seed. */
function expandTrials(
  task: TaskConfig,
  line: number,
  settings: TrainSettings,
  { config, backbone, precision, dataset, seeds }: TaskInputs & { seeds: readonly number[] },
): Trial[][] {
  const steps_per_epoch = stepsPerEpoch(dataset, settings);
  const train = resolveTrain(settings, steps_per_epoch, dataset);
  const context = {
    backbone,
    task: task.name,
    num_labels: dataset.num_labels,
    steps_per_epoch,
    total_steps: train.total_steps,
    kind: dataset.kind,
    max_length: dataset.max_length,
    batch_size: train.batch_size,
    unfreeze_params: config.unfreeze_params ?? DEFAULT_UNFREEZE_PARAMS,
  };
  const common = { task: task.name, dataset: dataset.digest, backbone: backbone.digest };
  const ofTask = {
    ...(task.generation && { generation: task.generation }),
    ...(precision === 'float32' ? {} : { precision }),
  };
  const makeTrial = ({ adapter, prune, official }: ComparedTrial, seed: number): Trial => {
    const steps = official ? publishTrain(train) : train;
    const trial = { ...common, adapter, prune, train: steps, ...ofTask, seed };
    return { id: trialId(trial), ...trial };
  };
  return expandLine(config.compare, line, context).map((variant) =>
    seeds.map((seed) => makeTrial(variant, seed)),
  );
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
  if (total > MOST_STEPS)
    throw new ConfigError({
      where: 'train.epochs',
      message:
        `${task}: ${epochs} epochs of ${perEpoch} steps are ${total} steps; ` +
        `must be at most ${MOST_STEPS} steps`,
    });
  return { ...rest, total_steps: total };
}
