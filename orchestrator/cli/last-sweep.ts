/** What differs from the last sweep of the same name: a changed file is otherwise another sweep. */
import { writeCompareLine } from '../config/extension';
import type { OnProgress } from '../base/progress';
import { quoteCommand } from '../base/shell-quote';
import { readLastPlan } from '../store/plan-store';
import { listDifferences } from '../sweep/differences';
import type { Asked, Extension, Plan } from '../sweep/types';
import { findAddition } from './find-addition';

export interface LastSweep {
  sweep_id: string;
  /** One phrase per difference; empty if only its trials' ids are different. */
  differences: string[];
  /** The command that adds them to that sweep; absent if they are more than an addition. */
  extend?: string;
}

/** null if there is none, or the plan is the same sweep. To be asked before the plan is written. */
export async function compareWithLast(
  root: string,
  plan: Plan,
  asked: Asked,
): Promise<LastSweep | null> {
  const last = await readLastPlan(root, plan.name);
  if (last === null || last.sweep_id === plan.sweep_id) return null;
  const addition = await findAddition(root, last, plan, asked);
  return {
    sweep_id: last.sweep_id,
    differences: listDifferences(last, plan),
    ...(addition && { extend: writeCommand(last.sweep_id, addition) }),
  };
}

function writeCommand(sweepId: string, { seeds = [], compare = [] }: Extension): string {
  const ofSeeds = seeds.length > 0 ? ['--seeds', seeds.join(',')] : [];
  const ofLines = compare.flatMap((line) => ['--compare', writeCompareLine(line)]);
  return `sa-orch extend ${quoteCommand(sweepId, ...ofSeeds, ...ofLines)}`;
}

/** @param isStarting whether the plan is about to run as a sweep of its own */
export function sayLastSweep(
  last: LastSweep | null,
  onProgress: OnProgress,
  isStarting: boolean,
): void {
  if (last === null) return;
  const words = last.differences.length > 0 ? last.differences.join('; ') : 'other trials';
  onProgress('·', 'changed', `differs from the last sweep ${last.sweep_id} of this name: ${words}`);
  if (last.extend === undefined) return;
  const otherwise = isStarting ? 'this is a new sweep' : '`start` makes a new sweep of it';
  onProgress('·', '', `${otherwise}; to add it to that one: \`${last.extend}\``);
}
