import { adapterName } from '../../../orchestrator/sweep/adapters';
import { sweepConfigFrom } from '../../../orchestrator/config/load';
import { countBudget } from '../../../orchestrator/tasks/budget';
import { planSweep } from '../../../orchestrator/sweep/plan';
import type {
  Plan,
  PlannedDataset,
  Provenance,
  TrainerEnvironment,
  Trial,
  TrialResult,
} from '../../../orchestrator/sweep/types';
import { backbone, dataset } from './plans';

export const COMPARE = [{ pruner: 'none' }, { pruner: 'snip', sparsity: [0.4, 0.8] }];

/**
 * Large-Sparse at the budget of a dense adapter of bottleneck 16, with a sparse one of that width.
 */
export const LARGE_SPARSE = [
  { pruner: 'none', bottleneck: 16 },
  { pruner: 'snip', sparsity: 0.5, bottleneck: 16 },
  { pruner: 'snip', large_sparse: { bottleneck: 64 } },
];

/**
 * A plan of mrpc with COMPARE and three seeds, with changes of the sweep file and of the data sets.
 */
export function buildPlan(
  settings: Record<string, unknown> = {},
  change: Partial<PlannedDataset> = {},
): Plan {
  const config = sweepConfigFrom('glue', {
    tasks: 'mrpc',
    compare: COMPARE,
    seeds: [1, 2, 3],
    ...settings,
  });
  const datasets = config.tasks.map(({ name }) => ({ ...dataset(name), ...change }));
  return planSweep(config, {
    backbone: backbone(),
    datasets,
    maxCohort: 8,
    defaultPrecision: 'float32',
    profileReason: null,
  });
}

export const CPU: TrainerEnvironment = {
  framework: 'torch',
  framework_version: '2.15.0',
  device: 'cpu',
  device_name: 'Some CPU',
  precision: 'float32',
  details: {},
};
export const GPU: TrainerEnvironment = { ...CPU, device: 'cuda', device_name: 'NVIDIA H100' };

/** Mask, adapter and predictions were made by these. */
export function madeBy(...made: TrainerEnvironment[]): Provenance {
  return {
    sa_orch: '0.1.0',
    backbone_digest: 'b'.repeat(64),
    pruned_by: made.slice(0, 1),
    trained_by: made,
    predicted_by: made.slice(-1),
  };
}

/** A result that is done, with changes. */
export function buildResult(
  plan: Plan,
  trial: Trial,
  metrics: Record<string, number>,
  change: Partial<TrialResult> = {},
): TrialResult {
  return {
    trial_id: trial.id,
    task: trial.task,
    backbone: plan.backbone.name,
    adapter: adapterName(trial.adapter),
    bottleneck: trial.adapter.ffn_bottleneck,
    pruner: trial.prune.pruner,
    sparsity: trial.prune.sparsity,
    ...(trial.precision === undefined ? {} : { precision: trial.precision }),
    achieved_sparsity: trial.prune.sparsity,
    seed: trial.seed,
    status: 'done',
    metrics,
    budget: countBudget(trial, plan.backbone, dataset('mrpc')),
    train: { steps: 52, rows_per_s: 60, wall_s: 20, cohort: 1 },
    warnings: [],
    error: null,
    data: 'files',
    provenance: madeBy(CPU),
    ...change,
  };
}

/** Accuracies by row of the table (dense, snip 40 %, snip 80 %) and seed. */
const ACCURACIES = [
  [0.8, 0.82, 0.84],
  [0.81, 0.84, 0.84],
  [0.7, 0.72, 0.75],
];

/** Results of COMPARE or LARGE_SPARSE for three seeds, with these accuracies. */
export function buildResults(plan: Plan): TrialResult[] {
  return plan.trials.map((trial, i) =>
    buildResult(plan, trial, { accuracy: ACCURACIES[Math.floor(i / 3)]![i % 3]!, f1: 0.9 }),
  );
}
