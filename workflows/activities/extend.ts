/** Adds to the plan of a sweep that runs. */
import { planExtension } from '../../orchestrator/config/extended-plan';
import { readAsked } from '../../orchestrator/store/asked';
import { followPlan, readPlan, writePlan } from '../../orchestrator/store/plan-store';
import { canonicalJson } from '../../orchestrator/sweep/canonical';
import type { ExtendRequest } from '../messages';
import { beatDuring } from './heartbeat';
import { describePlanned, type Decided } from './search';
import type { WorkerSetup } from './worker-setup';

/**
 * Returns the new plan's digest, all of its cohorts, and whether it has choices to make. A plan
 * that has the extension already stays as it is, whoever has written it.
 *
 * @throws ConfigError if the extension is impossible
 */
export function extendPlan(
  setup: WorkerSetup,
  { sweepId, planDigest, request }: { sweepId: string; planDigest: string; request: ExtendRequest },
): Promise<Decided> {
  return beatDuring(async () => {
    const { root } = setup;
    const { extension, maxCohort } = request;
    const plan = await readPlan(root, sweepId, planDigest);
    const wanted = canonicalJson(extension);
    const isIn = plan.extended?.some((each) => canonicalJson(each) === wanted) === true;
    const extended = isIn
      ? plan
      : followPlan(plan, planExtension(plan, await readAsked(root, sweepId), extension, maxCohort));
    return describePlanned(await writePlan(root, extended), extended);
  });
}
