/** Makes the choices of a sweep's search, and writes the plan with what follows from them. */
import { readDecided } from '../../orchestrator/store/decided-plan';
import { readPlan, writePlan } from '../../orchestrator/store/plan-store';
import { writeStopped } from '../../orchestrator/store/rung-results';
import { listCohortRefs } from '../../orchestrator/sweep/cohorts';
import { decidesEarly, isSearching } from '../../orchestrator/sweep/search';
import type { CohortRef, Plan } from '../../orchestrator/sweep/types';
import { beatDuring } from './heartbeat';
import type { WorkerSetup } from './worker-setup';

/** What follows from a plan once its trials have come as far as they were to. */
export interface Decided {
  planDigest: string;
  /** All of the plan that follows. */
  cohorts: CohortRef[];
  /** Whether there is more to decide once these cohorts have ended. */
  hasSearch: boolean;
  /** Whether some may be decided before that. */
  decidesEarly?: true;
}

export const describePlanned = (planDigest: string, plan: Plan): Decided => ({
  planDigest,
  cohorts: listCohortRefs(plan),
  hasSearch: isSearching(plan),
  ...(decidesEarly(plan) && { decidesEarly: true }),
});

/**
 * Writes the plan that follows, and the outcomes of the trials that are stopped. Results do not
 * change, so a later attempt writes the same, or what follows from it by then if the search is
 * asynchronous. If nothing follows, the digest is that of the plan as it was.
 */
export function decideChoices(
  setup: WorkerSetup,
  { sweepId, planDigest }: { sweepId: string; planDigest: string },
): Promise<Decided> {
  return beatDuring(async (signal) => {
    // What an earlier attempt has written follows from this plan, and stays as it is.
    const decided = await readDecided(setup.root, await readPlan(setup.root, sweepId, planDigest));
    // A later attempt may have written more by now.
    signal.throwIfAborted();
    const writtenDigest = await writePlan(setup.root, decided);
    await writeStopped(setup.root, decided);
    return describePlanned(writtenDigest, decided);
  });
}
