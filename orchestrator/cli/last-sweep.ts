/** What differs from the last sweep of the same name: a changed file is otherwise another sweep. */
import type { OnProgress } from '../base/progress';
import { readLastPlan } from '../store/plan-store';
import { listDifferences } from '../sweep/differences';
import type { Plan } from '../sweep/types';

export interface LastSweep {
  sweep_id: string;
  /** One phrase per difference; empty if only its trials' ids are different. */
  differences: string[];
}

/** null if there is none, or the plan is the same sweep. To be asked before the plan is written. */
export async function compareWithLast(root: string, plan: Plan): Promise<LastSweep | null> {
  const last = await readLastPlan(root, plan.name);
  return last === null || last.sweep_id === plan.sweep_id
    ? null
    : { sweep_id: last.sweep_id, differences: listDifferences(last, plan) };
}

export function sayLastSweep(last: LastSweep | null, onProgress: OnProgress): void {
  if (last === null) return;
  const words = last.differences.length > 0 ? last.differences.join('; ') : 'other trials';
  onProgress('·', 'changed', `differs from the last sweep ${last.sweep_id} of this name: ${words}`);
}
