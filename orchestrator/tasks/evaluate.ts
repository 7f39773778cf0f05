import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../base/errors';
import { nameFile } from '../base/name-file';
import { digestFile } from '../tables/file-digest';
import { findDataset } from '../sweep/lookup';
import type { Plan, Trial } from '../sweep/types';
import type { Confusion, TrialEvaluation } from './family';
import { findFamily } from './registry';

/**
 * Computes a trial's metrics from its predictions.<split>.safetensors and its data set.
 *
 * @param digests hex SHA-256 of files as their trainer wrote them, by their names under the root;
 *   empty for trials of earlier versions, which recorded none
 * @param step of the predictions, if they were made in the middle of its training
 * @throws ConfigError that names the file if predictions are missing, have changed since they were
 *   written, or have a different shape from the data set
 */
export async function evaluatePredictions(
  root: string,
  plan: Plan,
  trial: Trial,
  digests: Readonly<Record<string, string>> = {},
  step?: number,
): Promise<TrialEvaluation> {
  const dataset = findDataset(plan, trial.dataset);
  return findFamily(dataset.kind).evaluation.evaluate({
    root,
    dataset,
    backbonePath: plan.backbone.path,
    findPredictions: (split) => {
      const at = step === undefined ? '' : `.step${step}`;
      const name = `trials/${nameFile('trialId', trial.id)}/predictions.${split}${at}.safetensors`;
      checkDigest(join(root, name), digests[name]);
      return join(root, name);
    },
  });
}

/** Which classes a trial's predictions take for which, by split; throws as evaluatePredictions. */
export function countConfusions(root: string, plan: Plan, trial: Trial): Confusion[] {
  const dataset = findDataset(plan, trial.dataset);
  return findFamily(dataset.kind).evaluation.countConfusions({
    root,
    dataset,
    backbonePath: plan.backbone.path,
    findPredictions: (split) =>
      join(root, `trials/${nameFile('trialId', trial.id)}/predictions.${split}.safetensors`),
  });
}

function checkDigest(path: string, expected: string | undefined): void {
  // Whoever reads a missing file says so.
  if (expected === undefined || !existsSync(path)) return;
  const found = digestFile(path);
  if (found === expected) return;
  throw new ConfigError({
    where: path,
    message:
      `has changed since its trainer wrote it (SHA-256 ${found}, not ${expected}); ` +
      'remove it and start with --retry-failed to predict again',
  });
}
