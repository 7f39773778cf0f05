/** Refuses a start whose results would be compared with those of another framework or device. */
import type { Capabilities } from '../../gen/ts/sparse_adapter/trainer/v1/capabilities';
import { UserError } from '../base/errors';
import { joinOr } from '../base/join-or';
import { plural } from '../base/plural';
import { nameMaker } from '../trainer-client/capabilities';
import { listMakers, UNKNOWN } from '../sweep/environments';
import type { Plan, TrialResult } from '../sweep/types';

/**
 * Throws if this trainer would run trials of a task of which others are done and were made on
 * another framework or device. Results of earlier versions do not say what made them: the report
 * calls them unknown, but they refuse nothing.
 *
 * @param results those that stay, failures included
 */
export function refuseMixing(
  plan: Plan,
  results: readonly TrialResult[],
  trainer: Pick<Capabilities, 'framework' | 'devices'>,
): void {
  const now = nameMaker(trainer);
  const done = new Map(
    results.filter(({ status }) => status === 'done').map((result) => [result.trial_id, result]),
  );
  const ended = new Set(results.map(({ trial_id }) => trial_id));
  for (const { task, digest } of plan.datasets) {
    const trials = plan.trials.filter(({ dataset }) => dataset === digest);
    const missing = trials.filter(({ id }) => !ended.has(id));
    const others = trials
      .flatMap(({ id }) => done.get(id) ?? [])
      .map((result) => listMakers(result).filter((made) => made !== now && made !== UNKNOWN))
      .filter((made) => made.length > 0);
    if (missing.length === 0 || others.length === 0) continue;
    throw new UserError(
      `${plural(others.length, 'trial')} of ${task} ${others.length === 1 ? 'was' : 'were'} made ` +
        `by ${joinOr([...new Set(others.flat())])}, and the trainer now is ${now}: the table ` +
        `would compare the ${plural(missing.length, 'trial')} still to run with those`,
      2,
      'Use a trainer like the one that made the others (--framework, --device, --trainer), or ' +
        'accept it with --mix-devices: the report then says what made each row.',
    );
  }
}
