/** The export formats by name. */
import { joinOr } from '../base/join-or';
import { UserError } from '../base/errors';
import { adapterName } from '../sweep/adapters';
import { adapterhub } from './adapterhub';
import { FORMAT_NAMES, type ExportFormat, type FormatName } from './export-format';
import { merged } from './merged';
import { peft } from './peft';
import { findPublishedForm } from './published-forms';
import { safetensors } from './safetensors';
import type { TrainedTrial } from './trained-trial';

export const FORMATS: Readonly<Record<FormatName, ExportFormat>> = {
  peft,
  adapterhub,
  merged,
  safetensors,
};

/** Why a format cannot hold a trial; null if it can. This project's own format holds all. */
function findObstacle(format: FormatName, trained: TrainedTrial): string | null {
  const published = format === 'safetensors' ? null : findPublishedForm(trained.trial.adapter);
  return published ?? FORMATS[format].findObstacle(trained);
}

/** @throws UserError (exit 2) that names the formats that can hold the trial, if this one cannot */
export function requireHolds(format: FormatName, trained: TrainedTrial): void {
  const obstacle = findObstacle(format, trained);
  if (obstacle === null) return;
  const able = FORMAT_NAMES.filter((name) => findObstacle(name, trained) === null);
  const { trial, backbone } = trained;
  throw new UserError(
    `${trial.id} (${adapterName(trial.adapter)}, ${backbone.model_type}) cannot be exported as ` +
      `${format}: ${obstacle}; --format ${joinOr(able)} can hold it`,
    2,
  );
}
