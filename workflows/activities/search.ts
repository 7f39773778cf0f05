/** Makes the choices of a sweep's search, and writes the plan with what follows from them. */
import { ConfigError } from '../../orchestrator/base/errors';
import { readPlan, writePlan } from '../../orchestrator/store/plan-store';
import { readResults } from '../../orchestrator/store/sweep-results';
import { decideSearch } from '../../orchestrator/sweep/search';
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
    const current = await readPlan(setup.root, sweepId);
    // An earlier attempt may have ended before it could say so.
    const isWritten = current.follows === planDigest;
    const plan = isWritten ? current : await readPlan(setup.root, sweepId, planDigest);
    const decided = decideSearch(plan, await readResults(setup.root, plan));
    if (decided === null) {
      const message = 'a trial of the search has no result, although all have ended; start again';
      throw new ConfigError({ where: sweepId, message });
    }
    const next = isWritten ? current : { ...decided, follows: planDigest };
    return {
      planDigest: await writePlan(setup.root, next),
      cohorts: next.cohorts.map(({ id, dataset }) => ({ id, dataset })),
    };
  });
}
