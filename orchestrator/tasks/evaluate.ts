import { join } from 'node:path';
import { nameFile } from '../base/name-file';
import { findDataset } from '../sweep/lookup';
import type { Plan, Trial } from '../sweep/types';
import type { TrialEvaluation } from './family';
import { findFamily } from './registry';

/**
 * Computes a trial's metrics from its predictions.<split>.safetensors and its data set.
 *
 * @throws ConfigError that names the file if predictions are missing or have a different shape from
 *   the data set
 */
export function evaluatePredictions(root: string, plan: Plan, trial: Trial): TrialEvaluation {
  const dataset = findDataset(plan, trial.dataset);
  const folder = join(root, 'trials', nameFile('trialId', trial.id));
  return findFamily(dataset.kind).evaluation.evaluate({
    root,
    dataset,
    backbonePath: plan.backbone.path,
    findPredictions: (split) => join(folder, `predictions.${split}.safetensors`),
  });
}
