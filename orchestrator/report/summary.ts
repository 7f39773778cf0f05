import type { MaskRulesName } from '../../common/vocabulary/mask-rules';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import { countTrials } from '../sweep/search';
import { dataWarnings } from '../sweep/data-warnings';
import { listMakers } from '../sweep/environments';
import { readPrecision } from '../sweep/precision';
import type { AxisValues, Budget, Plan, PlannedDataset, TrialResult } from '../sweep/types';
import { FAMILIES } from '../tasks/registry';
import { findVaried } from './axes';
import { compareAtBudget, correctRows, type Results } from './comparisons';
import { countMakers, summarizeRow } from './row-summary';
import { summarizeSearch, trialsOfChoice, type SearchSummary } from './search-summary';
import type { Mean, PairedDifference } from './statistics';
import { collectTrialWarnings, type Warning } from './warnings';
import { groupVariants, type Variant } from './variants';

/** Metrics of always predicting the most frequent class of the validation rows, by task. */
export type Baselines = Record<string, Record<string, number>>;

/** One row of a task's table. Metric values are as defined, not in percent. */
export interface RowSummary {
  /** What tells it from other rows, besides sparsity and bottleneck. */
  label: string;
  /** The label without what is in `axes`; absent if that is the same. */
  name?: string;
  /** Its values of the task's axes, by their keys in a sweep file; absent without axes. */
  axes?: AxisValues;
  pruner: string;
  sparsity: number;
  rules: MaskRulesName;
  bottleneck: string;
  /** Its trials' ids, in the order of seeds. */
  trial_ids: string[];
  /** Planned seeds and, among them, those done. */
  seeds: number;
  done: number;
  metrics: Record<string, Mean>;
  /**
   * As planned, except `kept`, which is the average of the trials done: by the official rules it
   * seldom equals the request.
   */
  budget: Budget;
  /**
   * Kept weights divided by the reference's weights or, without a reference, by those of the row's
   * own adapter. 1 for Large-Sparse and dense rows.
   */
  kept_of_dense: number;
  /** `label` and `bottleneck` of the dense row that it is compared with; null for the first. */
  reference: string | null;
  /** Differences to the dense trial of the same seed, by metric. */
  difference: Record<string, PairedDifference>;
  /**
   * For metrics that use the best threshold on these rows (TrialResult.thresholds): the threshold
   * of each finished trial, in the order of seeds.
   */
  thresholds?: Record<string, number[]>;
  /**
   * By code of a warning that mask or predictions mean little: how many of its trials have it.
   * Codes without a trial are left out.
   */
  degenerate: Record<string, number>;
  /**
   * How many of its finished trials were made on what (describeMakers); absent if the whole sweep
   * was made on the same.
   */
  made_by?: Record<string, number>;
}

/**
 * Warnings that mark a degenerate mask or run, as text by code: the trainer's, those of each
 * family's evaluation, and those that all evaluations share.
 */
export const DEGENERATE_WARNINGS: Readonly<Record<string, string>> = {
  layers_emptied: 'a matrix lost all its weights',
  degenerate_scores: 'all scores are equal or not finite',
  ...Object.fromEntries(FAMILIES.flatMap(({ words }) => Object.entries(words.degenerate))),
  non_finite_predictions: 'some predictions are NaN or infinite',
  undefined_metric: 'a metric is undefined and counts as 0',
};

/** The rows that keep exactly as many weights as a dense adapter has: Large-Sparse. */
export interface BudgetComparison {
  /** `label` and `bottleneck` of the dense row. */
  reference: string;
  /** Its weights, which each row keeps, too. */
  kept: number;
  /**
   * Each with its differences to that dense row, which may not be the one that the table compares
   * it with.
   */
  rows: Pick<RowSummary, 'label' | 'pruner' | 'sparsity' | 'bottleneck' | 'difference'>[];
}

export interface TaskSummary {
  task: string;
  /** As in SweepSummary. */
  margin?: number;
  /** Metric names; the first decides. */
  metrics: string[];
  /**
   * Keys of training settings that differ among its rows or were searched; absent if there are
   * none.
   */
  axes?: string[];
  /** Of the comparison; those whose values a search has yet to choose are not there. */
  rows: RowSummary[];
  /** How searched values were chosen; absent without a search. */
  search?: SearchSummary;
  at_dense_budget: BudgetComparison[];
  majority_class: Record<string, number> | null;
  /** Why its data may lead to false findings; absent if nothing speaks for it. */
  data_warnings?: string[];
}

/** A report as data: the content of report.json. */
export interface SweepSummary {
  sweep_id: string;
  name: string;
  profile: string | null;
  profile_reason: string | null;
  backbone: { name: string; digest: string; model_type: string; weights: number };
  /** Points within which differences count as equal; absent if none were named. */
  margin?: number;
  /** Its trials' precisions, in the order of trials; absent if all are float32. */
  precisions?: PrecisionName[];
  datasets: Pick<PlannedDataset, 'task' | 'digest' | 'source' | 'splits' | 'max_length'>[];
  trials: { planned: number; done: number; failed: number; cancelled: number };
  tasks: TaskSummary[];
  failures: { trial_id: string; task: string; row: string; seed: number; error: string }[];
  warnings: Warning[];
}

/** Summarizes a sweep over its seeds. Trials without a result count as planned, not as done. */
export function summarize(
  plan: Plan,
  results: readonly TrialResult[],
  baselines: Baselines,
): SweepSummary {
  const byId = new Map(results.map((result) => [result.trial_id, result]));
  const isMixed = isMadeDifferently(results);
  const failures: SweepSummary['failures'] = [];
  const over = plan.search?.over ?? [];
  const datasets = plan.datasets.filter(({ held_out }) => held_out === undefined);
  const tasks = datasets.map((dataset): TaskSummary => {
    const { variants, all } = findVariants(plan, dataset);
    const search = summarizeSearch(plan, dataset.task, all, byId);
    for (const variant of variants) {
      failures.push(...listFailures(variant, byId));
    }
    const axes = [...new Set([...over, ...findVaried(variants.map(({ settings }) => settings))])];
    const context = { plan, dataset, variants, axes, over, results: byId };
    const rows = variants.map((variant): RowSummary => ({
      ...summarizeRow(variant, context),
      ...(isMixed ? { made_by: countMakers(variant, byId) } : {}),
    }));
    const found = dataWarnings(dataset);
    return {
      task: dataset.task,
      ...(plan.margin === undefined ? {} : { margin: plan.margin }),
      metrics: dataset.metrics,
      ...(axes.length > 0 ? { axes } : {}),
      rows: correctRows(rows),
      ...(search === null ? {} : { search }),
      at_dense_budget: compareAtBudget(variants, rows, dataset, byId, over, plan.margin),
      majority_class: baselines[dataset.task] ?? null,
      ...(found.length > 0 ? { data_warnings: found } : {}),
    };
  });
  const { name, digest, model_type, weights } = plan.backbone;
  const count = (status: TrialResult['status']) =>
    plan.trials.filter(({ id }) => byId.get(id)?.status === status).length;
  return {
    sweep_id: plan.sweep_id,
    name: plan.name,
    profile: plan.profile,
    profile_reason: plan.profile_reason,
    backbone: { name, digest, model_type, weights },
    ...(plan.margin === undefined ? {} : { margin: plan.margin }),
    ...listPrecisions(plan),
    datasets: datasets.map(({ task, digest, source, splits, max_length }) => ({
      task,
      digest,
      source,
      splits,
      max_length,
    })),
    trials: {
      planned: countTrials(plan),
      done: count('done'),
      failed: count('failed'),
      cancelled: count('cancelled'),
    },
    tasks,
    failures,
    warnings: collectTrialWarnings(plan, byId),
  };
}

/** The task's rows, and beside them those of choices that are not made, which name these. */
function findVariants(
  { trials, search }: Plan,
  dataset: PlannedDataset,
): { variants: Variant[]; all: Variant[] } {
  const planned = trials.filter((trial) => trial.dataset === dataset.digest);
  const known = new Set(planned.map(({ id }) => id));
  const open = (search?.choices ?? [])
    .filter(({ task }) => task === dataset.task)
    .flatMap(trialsOfChoice)
    .filter(({ id }) => !known.has(id));
  const all = groupVariants([...planned, ...open], dataset, search?.over);
  return { variants: all.filter(({ trials: [first] }) => known.has(first!.id)), all };
}

function listPrecisions({ trials }: Plan): Pick<SweepSummary, 'precisions'> {
  const precisions = [...new Set(trials.map(readPrecision))];
  return precisions.every((precision) => precision === 'float32') ? {} : { precisions };
}

/** Whether finished trials were made on different frameworks or devices. */
export function isMadeDifferently(results: readonly TrialResult[]): boolean {
  const done = results.filter(({ status }) => status === 'done');
  return new Set(done.flatMap(listMakers)).size > 1;
}

function listFailures(variant: Variant, results: Results): SweepSummary['failures'] {
  return variant.trials.flatMap(({ id, task, seed }) => {
    const result = results.get(id);
    if (result?.status !== 'failed') return [];
    return [
      {
        trial_id: id,
        task,
        row: `${variant.label} ${Number(variant.config.prune.sparsity.toPrecision(6))}`,
        seed,
        error: result.error ?? 'no reason was given',
      },
    ];
  });
}
