import { decideSearch } from '../sweep/search';
import type { Plan } from '../sweep/types';
import { followPlan } from './plan-store';
import { readNextRung } from './rung-results';
import { readResults } from './sweep-results';

/**
 * The plan with the choices of its search made as far as results under this root make them. Whoever
 * decides makes the same choices and, unless the search is asynchronous, the same plan to the byte:
 * what goes on early has cohorts of its own.
 */
export async function readDecided(root: string, plan: Plan): Promise<Plan> {
  const results = await readResults(root, plan);
  let decided = plan;
  for (;;) {
    const next = decideSearch(decided, results, await readNextRung(root, decided));
    if (next === null || next === decided) return decided;
    decided = followPlan(decided, next);
  }
}
