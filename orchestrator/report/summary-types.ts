/** A report as data: the content of report.json. */
import type { MaskRulesName } from '../../common/vocabulary/mask-rules';
import type { PrecisionName } from '../../common/vocabulary/precisions';
import type { AxisValues, Budget, PlannedDataset, PlannedEvaluation } from '../sweep/types';
import { FAMILIES } from '../tasks/registry';
import type { Methods } from './methods-types';
import type { SearchSummary } from './search-types';
import type { Mean, PairedDifference } from './statistics';
import type { Warning } from './warnings';

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
  /** Planned seeds and, among them, those done and those that failed. */
  seeds: number;
  done: number;
  failed: number;
  metrics: Record<string, Mean>;
  /** Metrics of each trial that is done, in the order of seeds. */
  by_seed: [seed: number, metrics: Record<string, number>][];
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
  /** Of LoRA modules: α / r, at attention and feed-forward if they differ; absent without one. */
  lora_scale?: number[];
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

export interface BudgetRow extends Pick<
  RowSummary,
  'label' | 'pruner' | 'sparsity' | 'bottleneck' | 'difference'
> {
  kept: number;
}

/**
 * The rows that keep as many weights as a dense adapter has, exactly (Large-Sparse) or as nearly as
 * its width allows.
 */
export interface BudgetComparison {
  /** `label` and `bottleneck` of the dense row. */
  reference: string;
  /** Its weights. */
  kept: number;
  /**
   * Each with the weights that it keeps and its differences to that dense row, which may not be the
   * one that the table compares it with.
   */
  rows: BudgetRow[];
}

export interface TaskSummary {
  task: string;
  /** As in SweepSummary. */
  margin?: number;
  /** Metric names; the first decides. */
  metrics: string[];
  /** As in Plan. lacking: finished trials that were not evaluated at all of the steps. */
  evaluate?: PlannedEvaluation & { lacking: number };
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
  trials: { planned: number; done: number; failed: number; cancelled: number; stopped: number };
  tasks: TaskSummary[];
  failures: { trial_id: string; task: string; row: string; seed: number; error: string }[];
  warnings: Warning[];
  /** How its numbers were made, for whoever cites them. */
  methods: Methods;
}
