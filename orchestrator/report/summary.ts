import { dropRepeated } from '../sweep/identity';
import { countTrials } from '../sweep/search';
import { dataWarnings, heldOutWarnings } from '../sweep/data-warnings';
import { listMakers } from '../sweep/environments';
import { evaluationsOf } from '../sweep/evaluations';
import { listHeldOut, listTaskDatasets } from '../sweep/lookup';
import { readPrecision } from '../sweep/precision';
import type { Plan, PlannedDataset, TrialResult } from '../sweep/types';
import { findVaried } from './axes';
import { compareAtBudget, correctRows, type Results } from './comparisons';
import { roundSetting } from './format';
import { describeMethods } from './methods';
import { countMakers, summarizeRow } from './row-summary';
import { summarizeSearch, trialsOfChoice } from './search-summary';
import type { Baselines, RowSummary, SweepSummary, TaskSummary } from './summary-types';
import { collectTrialWarnings } from './warnings';
import { groupVariants, type Variant } from './variants';

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
  const datasets = listTaskDatasets(plan.datasets);
  const tasks = datasets.map((dataset): TaskSummary => {
    const { variants, all } = findVariants(plan, dataset);
    const search = summarizeSearch(plan, dataset.task, all, byId);
    for (const variant of variants) {
      failures.push(...listFailures(variant, byId));
    }
    const axes = [...new Set([...over, ...findVaried(variants.map(({ settings }) => settings))])];
    const context = { plan, dataset, variants: all, axes, over, results: byId };
    const rows = variants.map((variant): RowSummary => ({
      ...summarizeRow(variant, context),
      ...(isMixed ? { made_by: countMakers(variant, byId) } : {}),
    }));
    const heldOut = listHeldOut(plan.datasets).filter((each) => each.task === dataset.task);
    const found = [...dataWarnings(dataset), ...heldOut.flatMap(heldOutWarnings)];
    return {
      task: dataset.task,
      ...(plan.margin === undefined ? {} : { margin: plan.margin }),
      metrics: dataset.metrics,
      ...(plan.evaluate === undefined
        ? {}
        : { evaluate: { ...plan.evaluate, lacking: countLacking(plan, dataset.digest, byId) } }),
      ...(axes.length > 0 ? { axes } : {}),
      rows: correctRows(rows),
      ...(search === null ? {} : { search }),
      at_dense_budget: compareAtBudget(variants, rows, dataset, byId, over, plan),
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
      stopped: count('stopped'),
    },
    tasks,
    failures,
    warnings: collectTrialWarnings(plan, byId),
    methods: describeMethods(plan, tasks, results),
  };
}

/**
 * The task's rows, and with them those of choices that are not made or have nothing to choose, in
 * the order of the plan: what they are called and compared with must not depend on what has come.
 */
function findVariants(
  { trials, search }: Plan,
  dataset: PlannedDataset,
): { variants: Variant[]; all: Variant[] } {
  const planned = trials.filter((trial) => trial.dataset === dataset.digest);
  const known = new Set(planned.map(({ id }) => id));
  const chosen = (search?.choices ?? [])
    .filter(({ task }) => task === dataset.task)
    .flatMap(trialsOfChoice);
  const later = new Set(chosen.map(({ id }) => id));
  const first = planned.filter(({ id }) => !later.has(id));
  const all = groupVariants(dropRepeated([...first, ...chosen]), dataset, search?.over);
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
        row: `${variant.label} ${roundSetting(variant.config.prune.sparsity)}`,
        seed,
        error: result.error ?? 'no reason was given',
      },
    ];
  });
}

/** Finished trials whose best is of fewer evaluations than the plan has. */
function countLacking(
  plan: Plan,
  digest: string,
  results: ReadonlyMap<string, TrialResult>,
): number {
  const stepsOf = evaluationsOf(plan);
  return plan.trials.filter((trial) => {
    const { best_of: of } = results.get(trial.id) ?? {};
    return trial.dataset === digest && of !== undefined && of <= stepsOf(trial).length;
  }).length;
}
