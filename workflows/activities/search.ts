/** Makes the choices of a sweep's search, and writes the plan with what follows from them. */
import { ConfigError } from '../../orchestrator/base/errors';
import { readDecided } from '../../orchestrator/store/decided-plan';
import { readPlan, writePlan } from '../../orchestrator/store/plan-store';
import { isSearching } from '../../orchestrator/sweep/search';
import { beatDuring } from './heartbeat';
import type { WorkerSetup } from './worker-setup';

/**
 * Returns the new plan's digest, and all of its cohorts. The same at every attempt, because results
 * do not change.
 *
 * @throws ConfigError if a trial of the search has no result
 */
export function decideChoices(
  setup: WorkerSetup,
  { sweepId, planDigest }: { sweepId: string; planDigest: string },
): Promise<{ planDigest: string; cohorts: { id: string; dataset: string }[] }> {
  return beatDuring(async () => {
    // What an earlier attempt has written follows from this plan, and stays as it is.
    const decided = await readDecided(setup.root, await readPlan(setup.root, sweepId, planDigest));
    if (isSearching(decided)) {
      const message = 'a trial of the search has no result, although all have ended; start again';
      throw new ConfigError({ where: sweepId, message });
    }
    return {
      planDigest: await writePlan(setup.root, decided),
      cohorts: decided.cohorts.map(({ id, dataset }) => ({ id, dataset })),
    };
  });
}
