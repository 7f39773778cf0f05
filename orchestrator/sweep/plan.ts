import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { SweepConfig } from '../config/sweep-config';
import { ConfigError } from '../base/errors';
import { formCohorts } from './cohorts';
import { evaluationsOf } from './evaluations';
import { nameChoice } from './extend';
import { dropRepeated, sweepId } from './identity';
import { listHeldOut, listTaskDatasets } from './lookup';
import { planTask, type Variant } from './plan-task';
import { findRungStep, formRungCohorts } from './rungs';
import type { Cohort, Plan, PlannedBackbone, PlannedChoice, PlannedDataset, Trial } from './types';

export interface PlanInputs {
  backbone: PlannedBackbone;
  /** One per task of the configuration and, with a search, another one with held-out rows. */
  datasets: PlannedDataset[];
  /** How many trials the trainer likes to have at once. */
  maxCohort: number;
  /** How many of very brief trials it takes at once; the same if left out. */
  largestCohort?: number;
  /** Used if the configuration names none: the default of the trainer's device. */
  defaultPrecision: PrecisionName;
  /** Why the profile was chosen, for the user; null if the user chose. */
  profileReason: string | null;
}

/**
 * Resolves a sweep into trials and cohorts. Pure: the same configuration, backbone and data sets
 * give the same plan, to the byte. Trials come in the order task, line of `compare`, adapter,
 * pruner, sparsity, the pruner's other keys, training values, seed. Duplicates are dropped.
 *
 * What a search chooses from is not compared before it is chosen.
 *
 * @throws ConfigError if a line is impossible with its adapters, on this backbone or within a
 *   task's training steps, or rungs are
 */
export function planSweep(config: SweepConfig, inputs: PlanInputs): Plan {
  const { backbone, datasets, maxCohort, profileReason } = inputs;
  const precision = config.precision ?? inputs.defaultPrecision;
  const variants = config.tasks.flatMap((task) => {
    const ofTask = datasets.filter((candidate) => candidate.task === task.name);
    const [dataset] = listTaskDatasets(ofTask);
    if (dataset === undefined) {
      throw new RangeError(`no data set was resolved for task ${task.name}`);
    }
    const [heldOut] = listHeldOut(ofTask);
    return planTask(task, { config, backbone, precision, dataset, heldOut });
  });
  const trials = dropRepeated(
    variants.flatMap(({ candidates }) =>
      candidates.flatMap(candidates.length > 1 ? ({ tried }) => tried : ({ compared }) => compared),
    ),
  );
  const choices = listChoices(variants);
  const stopEarly = config.search?.stop_early ?? null;
  return {
    format: 3,
    sweep_id: sweepId(
      config.name,
      trials.map(({ id }) => id),
      choices,
    ),
    name: config.name,
    profile: config.profile,
    profile_reason: profileReason,
    backbone,
    datasets,
    trials,
    cohorts: formFirstCohorts(trials, choices, inputs, config).map((cohort) =>
      limitTime(cohort, trials, config),
    ),
    ...(config.search === null || choices.length === 0
      ? {}
      : {
          search: {
            over: config.search.over,
            ...(stopEarly === null ? {} : { stop_early: stopEarly }),
            max_cohort: maxCohort,
            choices,
          },
        }),
    ...(config.margin === null ? {} : { margin: config.margin }),
    ...(config.evaluate === null ? {} : { evaluate: config.evaluate }),
  };
}

/** Each choice once, also if two lines of `compare` mean the same. */
function listChoices(variants: readonly Variant[]): PlannedChoice[] {
  const choices = variants
    .filter(({ candidates }) => candidates.length > 1)
    .map(({ task, candidates }) => ({
      task,
      candidates: candidates.map(({ values, tried, compared }) => ({
        values,
        trials: tried.map(({ id }) => id),
        confirm: compared,
      })),
    }));
  return [...new Map(choices.map((choice) => [nameChoice(choice), choice])).values()];
}

/** Of the trials that a search chooses from, until the first rung, and then of the others. */
function formFirstCohorts(
  trials: readonly Trial[],
  choices: readonly PlannedChoice[],
  { maxCohort, largestCohort, datasets }: PlanInputs,
  { search, evaluate }: SweepConfig,
): Cohort[] {
  const { rungs = [] } = search?.stop_early ?? {};
  const [fraction] = rungs;
  const evaluations = evaluationsOf({ datasets, ...(evaluate && { evaluate }) });
  if (fraction === undefined) return formCohorts(trials, maxCohort, 0, largestCohort, evaluations);
  const tried = new Set(
    choices.flatMap(({ candidates }) => candidates.flatMap((candidate) => candidate.trials)),
  );
  const searched = trials.filter(({ id }) => tried.has(id));
  const tooShort = searched.find((trial) => findRungStep(trial, fraction) === 0);
  if (tooShort !== undefined)
    throw new ConfigError({
      where: 'search.stop_early',
      message: `${tooShort.task}: a trial of one step has no rung; must have at least two steps`,
    });
  for (const trial of searched) refuseEqualRungs(trial, rungs);
  const cohorts = formRungCohorts(searched, fraction, maxCohort, 0);
  const others = trials.filter(({ id }) => !tried.has(id));
  return [...cohorts, ...formCohorts(others, maxCohort, cohorts.length, maxCohort, evaluations)];
}

/** At one step, a trial would be compared twice with the same numbers. */
function refuseEqualRungs(trial: Trial, rungs: readonly number[]): void {
  const steps = rungs.map((rung) => findRungStep(trial, rung));
  const same = steps.findIndex((step, i) => step === steps[i - 1]);
  if (same === -1) return;
  const { task, train } = trial;
  throw new ConfigError({
    where: 'search.stop_early.rungs',
    message:
      `${task}: ${rungs[same - 1]} and ${rungs[same]} of ${train.total_steps} steps are both ` +
      `step ${steps[same]}; must be at different steps: ` +
      'fewer rungs, further apart, or longer training',
  });
}

/** A cohort's trials are of one task, because a data set belongs to one. */
function limitTime(cohort: Cohort, trials: readonly Trial[], { tasks }: SweepConfig): Cohort {
  const [first] = cohort.trials;
  const { task } = trials.find(({ id }) => id === first)!;
  const max_minutes = tasks.find(({ name }) => name === task)?.max_minutes ?? null;
  return max_minutes === null ? cohort : { ...cohort, max_minutes };
}
