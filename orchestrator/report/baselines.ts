import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { datasetPath } from '../datasets/splits';
import { listTaskDatasets } from '../sweep/lookup';
import type { Plan } from '../sweep/types';
import { findFamily } from '../tasks/registry';
import type { Baselines } from './summary-types';

/** What a guess that has learned nothing scores, for each task whose data set is under the root. */
export function measureBaselines(root: string, plan: Plan): Baselines {
  const baselines: Baselines = {};
  for (const dataset of listTaskDatasets(plan.datasets)) {
    if (!existsSync(join(datasetPath(root, dataset.digest), 'dataset.json'))) continue;
    const metrics = findFamily(dataset.kind).evaluation.measureBaseline(root, dataset);
    if (metrics !== null) baselines[dataset.task] = metrics;
  }
  return baselines;
}
