/** How much room a sweep needs on the disk of its artifact root. */
import { findDataset } from '../sweep/lookup';
import type { Cohort, Plan, PlannedDataset, Trial } from '../sweep/types';
import { countBudget } from './budget';

const BYTES_PER_NUMBER = 4;
/** A checkpoint holds each weight and its two moments. */
const NUMBERS_PER_WEIGHT = 3;
/** Those that are kept, and the one being written. */
const CHECKPOINTS = 3;
/** Small files of a trial: its configuration, stages, metrics, result. */
const TRIAL_FILES = 100e3;
/** Plan, progress and reports. */
const SWEEP_FILES = 10e6;

/**
 * Estimates the bytes that a sweep will write to its artifact root.
 *
 * @param pending ids of the trials that have no result yet
 * @param prepared digests of the data sets that are already there
 */
export function estimateRoom(
  plan: Plan,
  pending: ReadonlySet<string>,
  prepared: ReadonlySet<string>,
): number {
  const trials = plan.trials.filter(({ id }) => pending.has(id));
  const used = new Set(trials.map(({ dataset }) => dataset));
  const datasets = plan.datasets.filter(({ digest }) => used.has(digest) && !prepared.has(digest));
  const weights = new Map(trials.map((trial) => [trial.id, countWeights(plan, trial)]));
  // A trial's checkpoints are removed once it is trained, so only the largest cohort counts.
  const together = plan.cohorts.map((cohort) => sum(cohort.trials, (id) => weights.get(id) ?? 0));
  return (
    SWEEP_FILES +
    sum(datasets, tokenBytes) +
    sum(trials, (trial) => trialBytes(plan, trial, weights.get(trial.id)!)) +
    sum(plan.cohorts, (cohort) => bytesOnTheWay(plan, cohort, trials, weights)) +
    Math.max(0, ...together) * NUMBERS_PER_WEIGHT * BYTES_PER_NUMBER * CHECKPOINTS
  );
}

function countWeights(plan: Plan, trial: Trial): number {
  const { trainable, head } = countBudget(trial, plan.backbone, findDataset(plan, trial.dataset));
  return trainable + head;
}

/** A 32-bit number and a byte for each token, as if rows had half their maximum length. */
function tokenBytes({ splits, max_length }: PlannedDataset): number {
  const rows = sum(splits, (split) => split.features ?? split.rows);
  return (rows * max_length * (BYTES_PER_NUMBER + 1)) / 2;
}

/** Adapter, head and predictions where trials are measured before their last step. */
function bytesOnTheWay(
  plan: Plan,
  { trials: ids, evaluate_at: steps = [], until_step: rung }: Cohort,
  trials: readonly Trial[],
  weights: ReadonlyMap<string, number>,
): number {
  const times = steps.length + (rung === undefined ? 0 : 1);
  const own = times === 0 ? [] : trials.filter(({ id }) => ids.includes(id));
  const bytes = (trial: Trial) =>
    weights.get(trial.id)! * BYTES_PER_NUMBER + predictedBytes(plan, trial);
  return times * sum(own, bytes);
}

/** What a trial leaves: adapter and head, masks of at most a byte for each weight, predictions. */
const trialBytes = (plan: Plan, trial: Trial, weights: number): number =>
  TRIAL_FILES + weights * (BYTES_PER_NUMBER + 1) + predictedBytes(plan, trial);

function predictedBytes(plan: Plan, { dataset: digest }: Trial): number {
  const dataset = findDataset(plan, digest);
  const evaluated = dataset.splits.filter(({ name }) => name !== 'train');
  const rows = sum(evaluated, (split) => split.features ?? split.rows);
  return rows * predictionBytes(dataset);
}

/** Of a row: a number for each label or, where texts are found or made, two for each token. */
function predictionBytes({ num_labels, max_length, kind }: PlannedDataset): number {
  const isOfTokens = kind === 'question_answering' || kind === 'summarization';
  return BYTES_PER_NUMBER * (isOfTokens ? 2 * max_length : num_labels);
}

const sum = <T>(items: readonly T[], count: (item: T) => number): number =>
  items.reduce((total, item) => total + count(item), 0);
