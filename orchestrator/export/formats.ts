/** The export formats by name. */
import { joinOr } from '../base/join-or';
import { UserError } from '../base/errors';
import { adapterName } from '../sweep/adapters';
import { adapterhub } from './adapterhub';
import { FORMAT_NAMES, type ExportFormat, type FormatName } from './export-format';
import { merged } from './merged';
import { peft } from './peft';
import { safetensors } from './safetensors';
import type { TrainedTrial } from './trained-trial';

export const FORMATS: Readonly<Record<FormatName, ExportFormat>> = {
  peft,
  adapterhub,
  merged,
  safetensors,
};

/** @throws UserError (exit 2) that names the formats that can hold the trial, if this one cannot */
export function requireHolds(format: FormatName, trained: TrainedTrial): void {
  const obstacle = FORMATS[format].findObstacle(trained);
  if (obstacle === null) return;
  const able = FORMAT_NAMES.filter((name) => FORMATS[name].findObstacle(trained) === null);
  const { trial, backbone } = trained;
  throw new UserError(
    `${trial.id} (${adapterName(trial.adapter)}, ${backbone.model_type}) cannot be exported as ` +
      `${format}: ${obstacle}; --format ${joinOr(able)} can hold it`,
    2,
  );
}
