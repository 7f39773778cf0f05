/**
 * What made a result, and when two results were made differently: if the framework, the kind of
 * device or a GPU's model differ. Versions, processors and threads change last digits at most. The
 * precision is part of a trial, so a row has one anyway. Pure.
 */
import type { TrainerEnvironment, TrialResult } from './types';

export const UNKNOWN = 'unknown';

/** `torch on cpu`, `torch on NVIDIA H100 80GB HBM3`; the same name if they count as the same. */
export function nameEnvironment({
  framework,
  device,
  device_name: name,
}: Pick<TrainerEnvironment, 'framework' | 'device' | 'device_name'>): string {
  if (framework === '') return UNKNOWN;
  return `${framework} on ${device === 'cpu' ? device : name}`;
}

/** The names of what made a result's mask, adapter and predictions, each once. */
export function listMakers({ provenance }: Pick<TrialResult, 'provenance'>): string[] {
  const { pruned_by = [], trained_by = [], predicted_by = [] } = provenance;
  const stages = [pruned_by, trained_by, predicted_by];
  return [
    ...new Set(stages.flatMap((made) => (made.length > 0 ? made.map(nameEnvironment) : [UNKNOWN]))),
  ];
}

/** `torch on cpu, then torch on NVIDIA H100 80GB HBM3`. */
export function describeMakers(result: Pick<TrialResult, 'provenance'>): string {
  return listMakers(result).join(', then ');
}
