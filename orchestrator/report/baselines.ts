import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { datasetPath } from '../datasets/splits';
import type { Plan } from '../sweep/types';
import { findFamily } from '../tasks/registry';
import type { Baselines } from './summary-types';

/** What a guess that has learned nothing scores, for each task whose data set is under the root. */
export function measureBaselines(root: string, plan: Plan): Baselines {
  const baselines: Baselines = {};
  for (const dataset of plan.datasets) {
    // A search has other validation rows, which are not those of the table.
    if (dataset.held_out !== undefined) continue;
    if (!existsSync(join(datasetPath(root, dataset.digest), 'dataset.json'))) continue;
    const metrics = findFamily(dataset.kind).evaluation.measureBaseline(root, dataset);
    if (metrics !== null) baselines[dataset.task] = metrics;
  }
  return baselines;
}
