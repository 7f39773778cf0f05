/** Plans a sweep from what was asked, and what was added to it since. */
import { ConfigError } from '../base/errors';
import { extendPlan } from '../sweep/extend';
import { planSweep, type PlanInputs } from '../sweep/plan';
import { readPrecision } from '../sweep/precision';
import type { Asked, Extension, Plan } from '../sweep/types';
import { configFromAsked } from './asked';

/**
 * The plan with an extension, which is behind what it has: the same trials in the same cohorts, so
 * that jobs in progress go on.
 *
 * @param maxCohort maximum trials of each new cohort
 * @throws ConfigError if the extension is invalid, or what was asked does not give this plan
 */
export function planExtension(
  before: Plan,
  asked: Asked,
  extension: Extension,
  maxCohort: number,
): Plan {
  const inputs: PlanInputs = {
    backbone: before.backbone,
    datasets: before.datasets,
    maxCohort,
    defaultPrecision: readPrecision(before.trials[0]!),
    profileReason: before.profile_reason,
  };
  const extensions = before.extended ?? [];
  const known = planSweep(configFromAsked(asked, extensions), inputs);
  const all = [...extensions, extension];
  const next = planSweep(configFromAsked(asked, all), inputs);
  const stays = new Set(next.trials.map(({ id }) => id));
  if (known.trials.some(({ id }) => !stays.has(id)))
    throw new ConfigError({
      where: before.sweep_id,
      message:
        'the line changes what is compared with it: where a pruner scores, all adapters of its ' +
        'kind start otherwise; start a file with all lines as a new sweep',
    });
  const extended = extendPlan(before, known, next, maxCohort);
  if (extended !== null) return { ...extended, extended: all };
  throw new ConfigError({
    where: before.sweep_id,
    message:
      'this version of sa-orch plans other trials from what was asked for than the sweep has; ' +
      'start its file as a new sweep, which takes over every trial that is done',
  });
}

/**
 * A sweep with all that was added to it, one after the other, as if none of its choices was made.
 * Whether its search stops early is decided for all of it.
 */
export function planExtended(
  asked: Asked,
  extensions: readonly Extension[],
  inputs: PlanInputs,
): Plan {
  const [lifted, added] = [extensions.filter(isLifting), extensions.filter((e) => !isLifting(e))];
  const plan = planSweep(configFromAsked(asked, lifted), inputs);
  if (extensions.length === 0) return plan;
  const first = lifted.length > 0 ? { ...plan, extended: lifted } : plan;
  return added.reduce(
    (before, extension) => planExtension(before, asked, extension, inputs.maxCohort),
    first,
  );
}

const isLifting = ({ rungs }: Extension): boolean => rungs === 'off';
