import { decideSearch } from '../sweep/search';
import type { Plan } from '../sweep/types';
import { followPlan } from './plan-store';
import { readResults } from './sweep-results';

/**
 * The plan with the choices of its search made, if every trial of the search has a result under
 * this root; otherwise the plan as it is. Whoever decides makes the same plan, to the byte.
 */
export async function readDecided(root: string, plan: Plan): Promise<Plan> {
  const decided = decideSearch(plan, await readResults(root, plan));
  return decided === null || decided === plan ? plan : followPlan(plan, decided);
}
