/** A request for a sweep that is there, made from what was asked for at its start. */
import { configFromAsked } from '../config/asked';
import { planExtended } from '../config/extended-plan';
import { UserError } from '../base/errors';
import { planSweep } from '../sweep/plan';
import { readPrecision } from '../sweep/precision';
import type { Asked, Extension, Plan } from '../sweep/types';
import type { Added } from './added-trials';
import { COHORT_SIZE, type PlanWith, type Request } from './request';

/** @param more what it is extended by, if it is */
export function requestStored(
  stored: Plan,
  asked: Asked,
  more: { extension: Extension; added: Added } | undefined = undefined,
): Request {
  const { extended = [], profile_reason: profileReason } = stored;
  const extensions = more === undefined ? extended : [...extended, more.extension];
  const planWith = planStored(stored, asked, extensions);
  return { asked, config: configFromAsked(asked), profileReason, stored: { planWith, ...more } };
}

/** Plans the sweep as if none of its choices was made. */
export function planStored(stored: Plan, asked: Asked, extensions: readonly Extension[]): PlanWith {
  const { backbone, datasets, profile_reason: profileReason, sweep_id: id } = stored;
  const defaultPrecision = readPrecision(stored.trials[0]!);
  return (_, maxCohort = COHORT_SIZE, largestCohort = maxCohort) => {
    const sizes = { maxCohort, largestCohort };
    const inputs = { backbone, datasets, ...sizes, profileReason, defaultPrecision };
    const planned = planSweep(configFromAsked(asked), inputs);
    if (planned.sweep_id === id) return planExtended(asked, extensions, inputs);
    throw new UserError(
      `this version of sa-orch plans ${planned.sweep_id} from what was asked for ${id}`,
      2,
      'Start its file as a new sweep, which takes over every trial that is done.',
    );
  };
}
