import { decideSearch } from '../sweep/search';
import type { Plan } from '../sweep/types';
import { readResults } from './sweep-results';

/**
 * The plan with the choices of its search made, if every trial of the search has a result under
 * this root; otherwise the plan as it is.
 */
export async function readDecided(root: string, plan: Plan): Promise<Plan> {
  return decideSearch(plan, await readResults(root, plan)) ?? plan;
}
